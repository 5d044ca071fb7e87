// The two Python clients as Debian packages them, for the system's python3: kafka-python 2.0.2, which speaks old
// versions of the protocol, and confluent-kafka 1.7 over librdkafka 2.0. The programs lie beside this file; each
// prints `pass NAME` or `fail NAME: why` for each of its checks.
import { resolve } from 'node:path'
import { run, which } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'

export const python: Suite = {
  name: 'python',
  settings: { 'group.initial.rebalance.delay.ms': '0', 'num.partitions': '2' },
  async run(target, checks) {
    await checkProgram('kafka-python', 'kafka', 'kafka_python.py', target, checks)
    await checkProgram('confluent-kafka', 'confluent_kafka', 'confluent.py', target, checks)
  }
}

async function checkProgram(name: string, module: string, file: string, target: Target, checks: Checks): Promise<void> {
  const interpreter = which('/usr/bin/python3')
  if (interpreter === undefined) return checks.skip(name, 'python3 is not on this machine')
  const probe = await run(interpreter, ['-c', `import ${module}`])
  if (probe.code !== 0) return checks.skip(name, `the Python module ${module} is not on this machine`)
  const program = resolve('test/interop', file)
  let ended = false
  const onLine = (line: string): void => {
    const [, word, check = '', why] = /^(pass|fail|end)(?: ([^:]*))?(?:: (.*))?$/.exec(line) ?? []
    if (word === 'pass') checks.pass(`${name}: ${check}`)
    if (word === 'fail') checks.fail(`${name}: ${check}`, why?.replaceAll('\\n', '\n') ?? '')
    if (word === 'end') ended = true
  }
  const outcome = await run(interpreter, [program, target.bootstrap, target.tag], { limitMs: 180_000, onLine })
  if (!ended) checks.fail(`${name}: runs to its end`, `status ${outcome.code}\n${outcome.stderr.slice(-3000)}`)
}
