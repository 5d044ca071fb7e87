// Runs real clients and tools against a broker: see test/interop/run.ts for the options.
import { endAll } from '../test/interop/process.ts'
import { interop } from '../test/interop/run.ts'

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.once('exit', endAll)
process.exitCode = (await interop()) === 0 ? 0 : 1
