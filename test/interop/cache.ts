// The native test suites that are built once and kept outside the repository: $MOLDAU_INTEROP_CACHE, or
// ~/.cache/moldau-interop. `npm run interop -- --build` builds what is missing; it takes some minutes.
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run } from './process.ts'

export const cache = process.env.MOLDAU_INTEROP_CACHE ?? join(homedir(), '.cache', 'moldau-interop')

/** The folder of librdkafka's tests, as the npm package of its JavaScript client ships them. */
export const librdkafkaTests = join(cache, 'rdk/node_modules/@confluentinc/kafka-javascript/deps/librdkafka/tests')

export const nodeRdkafkaFolder = join(cache, 'nrd/node_modules/node-rdkafka')

interface Step {
  done: string
  folder: string
  command: string
  /** Not a part of the short run. */
  isLong: boolean
}

/** Needs g++, make, python3 and the headers of OpenSSL, SASL, zstd, lz4, curl and zlib. */
const steps: Step[] = [
  {
    done: join(librdkafkaTests, 'test-runner'),
    folder: join(cache, 'rdk'),
    command:
      'npm init -y >/dev/null && CKJS_LINKING=dynamic npm i @confluentinc/kafka-javascript@1.10.0 --foreground-scripts' +
      ' && make -j2 -C node_modules/@confluentinc/kafka-javascript/deps/librdkafka/tests build',
    isLong: false
  },
  {
    done: join(nodeRdkafkaFolder, 'build/Release/node-librdkafka.node'),
    folder: join(cache, 'nrd'),
    command: 'npm init -y >/dev/null && npm i node-rdkafka@3.6.1 mocha@10 bluebird --foreground-scripts',
    isLong: true
  }
]

/** Builds what is missing. What cannot be built here is said, and its suite names itself as skipped. */
export async function buildSuites(fast: boolean): Promise<void> {
  for (const { done, folder, command, isLong } of steps) {
    if (existsSync(done) || (fast && isLong)) continue
    console.log(`# building ${done}`)
    mkdirSync(folder, { recursive: true })
    const outcome = await run('sh', ['-c', command], { cwd: folder, limitMs: 1_800_000 })
    if (!existsSync(done)) console.log(`# ${command}: status ${outcome.code}\n${outcome.stderr.slice(-4000)}`)
  }
}
