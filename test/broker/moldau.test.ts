// Goal: the command starts with compiled code only where that is of this Node and of this machine, and else as ever.
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { test } from 'tap'

const command = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'broker', 'moldau.cjs')
const source = "(function (require, file) { process.stdout.write('whole ' + typeof require('node:net') + ' ' + file) })"

test('compiled code is taken where it fits, and the modules where it does not', async t => {
  const bin = t.testdir({ 'cli.js': "process.stdout.write('modules')", 'whole.cjs': source, 'package.json': '{}' })
  copyFileSync(command, join(bin, 'moldau.cjs'))
  writeFileSync(join(bin, 'package.json'), '{"type":"module"}')
  const said = (...flags: string[]) => execFileSync(process.execPath, [...flags, join(bin, 'moldau.cjs')]).toString()
  const cache = join(bin, `whole-${process.version}-${process.arch}.cache`)
  t.equal(said(), 'modules', 'nothing was compiled')
  const good = new Script(source, { filename: join(bin, 'whole.cjs') }).createCachedData()
  writeFileSync(cache, good)
  t.equal(said(), `whole object ${join(bin, 'whole.cjs')}`)
  t.equal(said('--no-opt', '--stack-size=900'), 'modules', 'compiled with other flags')
  const spoilt = Buffer.from(good)
  spoilt.fill(0xff, 0, 16)
  for (const bytes of [Buffer.alloc(0), Buffer.from('not code'), spoilt]) {
    writeFileSync(cache, bytes)
    t.equal(said(), 'modules')
  }
  writeFileSync(cache, good)
  writeFileSync(join(bin, 'whole.cjs'), `${source} `)
  t.equal(said(), 'modules', 'of another script')
  rmSync(join(bin, 'whole.cjs'))
  t.equal(said(), 'modules')
  t.match(readFileSync(command, 'utf8'), /UV_THREADPOOL_SIZE[^\n]*'16'/)
})
