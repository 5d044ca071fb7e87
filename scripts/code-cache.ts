// A part of the build: the program as one script (build/bin/whole.cjs), and beside it the code that Node has compiled of it
// by the time a first record was accepted, for broker/moldau.cts to start with. It is good for this very version of Node;
// another one rejects it and loads the modules. Whoever changes the script makes both anew.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { build, type Plugin } from 'esbuild'
import { Cluster } from './bench/cluster.ts'
import { untilAccepted } from './bench/produce.ts'
import { batchOf, produceFrame } from './bench/request.ts'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'bin')
const whole = join(bin, 'whole.cjs')
const cache = join(bin, `whole-${process.version}-${process.arch}.cache`)
/** With native code or files of their own, or not needed for a start. */
const EXTERNAL = [
  ...['@bokuweb/zstd-wasm', '@node-rs/crc32', 'fastify', 'kafkajs', 'lz4-napi', 'msgpackr-extract', 'snappy']
]
const LIMIT_MS = 60_000
/** Of LevelDB only what finds the native code by its own place stays outside: the rest are some thirty files. */
const levelBinding: Plugin = {
  name: 'level-binding',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/binding$/ }, ({ importer }) =>
      importer.includes('classic-level') ? { path: 'binding', namespace: 'level' } : null
    )
    // Where level itself would find it, however its package was laid out.
    onLoad({ filter: /./, namespace: 'level' }, () => ({
      contents: `const { resolve } = require
        module.exports = require(resolve('classic-level/binding.js', { paths: [resolve('level')] }))`
    }))
  }
}

// Only the length of a script tells Node that code is not of it: none may outlive its script.
for (const name of readdirSync(bin)) if (name.endsWith('.cache')) rmSync(join(bin, name))
await build({
  absWorkingDir: root,
  entryPoints: [join(root, 'broker', 'cli.js')],
  outfile: whole,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  logLevel: 'warning',
  minifyWhitespace: true,
  external: EXTERNAL,
  plugins: [levelBinding],
  // A script with compiled code has no import().
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': '__url' },
  banner: { js: "(function (require, __file) { const __url = require('node:url').pathToFileURL(__file).href;" },
  footer: { js: '})' }
})

// The broker that runs here is this build's own, whatever the environment says of another, and no build waits for ever.
for (const name of Object.keys(process.env)) if (name.startsWith('KAFKA_')) delete process.env[name]
setTimeout(() => process.exit(1), LIMIT_MS).unref()
const directory = mkdtempSync(join(tmpdir(), 'moldau-code-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const settings = [
  'listeners=PLAINTEXT://127.0.0.1:0',
  `log.dirs=${directory}`,
  'moldau.http.listener=off',
  'moldau.log.level=warn'
]
process.argv = [process.argv0, join(bin, 'moldau.cjs'), 'start', ...settings.flatMap(each => ['--set', each])]
const ready = new Promise<string>(found => {
  process.stdout.write = ((text: string) => {
    const address = /ready on \S+?:(\d+)/.exec(text)
    if (address !== null) found(`127.0.0.1:${address[1]}`)
    return true
  }) as typeof process.stdout.write
})
const script = new Script(readFileSync(whole, 'utf8'), { filename: whole })
const run = script.runInThisContext() as (load: NodeJS.Require, file: string) => void
run(createRequire(whole), whole)
const cluster = await Cluster.open(await ready)
const { name } = await cluster.createTopic(1)
await untilAccepted(cluster.pipe, produceFrame(name, [0], -1, batchOf({ recordBytes: 100, recordsPerBatch: 1 })))
writeFileSync(cache, script.createCachedData())
process.exit(0)
