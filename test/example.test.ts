// The orders example prints what the README shows: what a new user sees first is true.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { UNHOOKED } from './process/broker-process.ts'

test('the README shows what the example prints', async t => {
  const readme = readFileSync('README.md', 'utf8')
  const shown = /<!-- example -->\n```\n([\s\S]*?)```\n<!-- \/example -->/.exec(readme)?.[1]
  const program = fileURLToPath(new URL('../scripts/example.js', import.meta.url))
  const [command, ...hooked] = UNHOOKED
  const child = spawn(command, [...hooked, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += chunk
  })
  const code = await new Promise(resolve => child.once('exit', resolve))
  t.equal(code, 0)
  t.equal(printed, shown)
})
