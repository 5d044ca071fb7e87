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
}

/** Needs g++, make, python3 and the headers of OpenSSL, SASL, zstd, lz4, curl and zlib. */
const steps: Step[] = [
  {
    done: join(librdkafkaTests, 'test-runner'),
    folder: join(cache, 'rdk'),
    command:
      'npm init -y >/dev/null && CKJS_LINKING=dynamic npm i @confluentinc/kafka-javascript@1.10.0 --foreground-scripts' +
      ' && make -j2 -C node_modules/@confluentinc/kafka-javascript/deps/librdkafka/tests build'
  },
  {
    done: join(nodeRdkafkaFolder, 'build/Release/node-librdkafka.node'),
    folder: join(cache, 'nrd'),
    command: 'npm init -y >/dev/null && npm i node-rdkafka@3.6.1 mocha@10 bluebird --foreground-scripts'
  }
]

export async function buildSuites(): Promise<void> {
  for (const { done, folder, command } of steps) {
    if (existsSync(done)) continue
    console.log(`# building ${done}`)
    mkdirSync(folder, { recursive: true })
    const outcome = await run('sh', ['-c', command], { cwd: folder, limitMs: 1_800_000 })
    if (!existsSync(done)) throw new Error(`${command}: status ${outcome.code}\n${outcome.stderr.slice(-4000)}`)
  }
}
