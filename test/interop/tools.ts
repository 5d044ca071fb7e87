// Kafka's command-line tools, by the names of their scripts, through a program that starts any class of Kafka:
// `PROGRAM CLASS ARGUMENT...` with extra flags for the virtual machine in KAFKA_OPTS. One virtual machine serves all
// calls (ToolServer.java); a tool that outlives its limit takes the machine with it, and the next call starts another.
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { end, launch, type Outcome, run, which } from './process.ts'

const mainClasses = {
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-cluster': 'org.apache.kafka.tools.ClusterTool',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-dump-log': 'org.apache.kafka.tools.DumpLogSegments',
  'kafka-e2e-latency': 'org.apache.kafka.tools.EndToEndLatency',
  'kafka-features': 'org.apache.kafka.tools.FeatureCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-groups': 'org.apache.kafka.tools.GroupsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-metadata-quorum': 'org.apache.kafka.tools.MetadataQuorumCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-replica-verification': 'org.apache.kafka.tools.ReplicaVerificationTool',
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
  'kafka-verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer'
} as const

export type ToolName = keyof typeof mainClasses

/** The program that starts Kafka's tools: MOLDAU_KAFKA_TOOLS, or a neighbour of the repository that is called so. */
export function findTools(): string | undefined {
  const named = process.env.MOLDAU_KAFKA_TOOLS
  return which(named ?? resolve('../shared/peers/kafka/kafka'))
}

interface Waiting {
  resolve: (outcome: Outcome) => void
  timer: NodeJS.Timeout
}

export class Tools {
  readonly program: string
  #classes: Promise<string> | undefined
  #server: ChildProcess | undefined
  #waiting = new Map<string, Waiting>()
  #tail: Promise<unknown> = Promise.resolve()
  #next = 0

  constructor(program: string) {
    this.program = program
  }

  /** Calls a tool in the shared virtual machine, after the calls before it. */
  call(tool: ToolName, args: string[], options: { input?: string; limitMs?: number } = {}): Promise<Outcome> {
    const answer = this.#tail.then(() => this.#request(mainClasses[tool], args, options))
    this.#tail = answer.catch(() => undefined)
    return answer
  }

  /** As `call`, and anything but status 0 is an error. Returns what the tool printed. */
  async ok(tool: ToolName, args: string[], options: { input?: string; limitMs?: number } = {}): Promise<string> {
    const outcome = await this.call(tool, args, options)
    if (outcome.code === 0 && !outcome.timedOut) return outcome.stdout
    const how = outcome.timedOut ? 'was not done within its limit' : `ended with status ${outcome.code}`
    throw new Error(`${tool} ${args.join(' ')} ${how}\n${outcome.stdout}\n${outcome.stderr}`)
  }

  /** As `ok`, in a process of its own: for tools that finish in a shutdown hook of the virtual machine. */
  async alone(tool: ToolName, args: string[], limitMs = 60_000): Promise<string> {
    const outcome = await run(this.program, [mainClasses[tool], ...args], { limitMs })
    if (outcome.code === 0) return outcome.stdout
    throw new Error(`${tool} ${args.join(' ')}: status ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`)
  }

  /** Starts a tool as a process of its own, for those that run until they are told to stop. */
  launch(tool: ToolName, args: string[]): ChildProcess {
    return launch(this.program, [mainClasses[tool], ...args])
  }

  stop(): void {
    if (this.#server !== undefined) end(this.#server)
    this.#server = undefined
  }

  async #request(name: string, args: string[], options: { input?: string; limitMs?: number }): Promise<Outcome> {
    const server = this.#server ?? (await this.#start())
    const id = String(++this.#next)
    return await new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        this.stop()
        resolve({ code: null, stdout: '', stderr: '', timedOut: true })
      }, options.limitMs ?? 60_000)
      this.#waiting.set(id, { resolve, timer })
      const words = [options.input ?? '', ...args].map(word => `.${Buffer.from(word).toString('base64')}`)
      server.stdin?.write(`${[id, name, ...words].join(' ')}\n`)
    })
  }

  async #start(): Promise<ChildProcess> {
    this.#classes ??= compile()
    const classes = await this.#classes
    const options = `-Xmx512m -XX:TieredStopAtLevel=1 -Xbootclasspath/a:${classes} ${process.env.KAFKA_OPTS ?? ''}`
    const server = launch(this.program, ['org.apache.kafka.interop.ToolServer'], { env: { KAFKA_OPTS: options } })
    this.#server = server
    let rest = ''
    server.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('REPLY ')) this.#answer(line)
    })
    server.stderr?.setEncoding('utf8').on('data', (text: string) => process.stderr.write(text))
    server.stdin?.on('error', () => {}) // The exit below answers whoever waits.
    server.once('exit', () => this.#ended(server))
    return server
  }

  #answer(line: string): void {
    const [, id = '', status = '', stdout = '.', stderr = '.'] = line.split(' ')
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    this.#waiting.delete(id)
    const text = (word: string) => Buffer.from(word.slice(1), 'base64').toString()
    waiting.resolve({ code: Number(status), stdout: text(stdout), stderr: text(stderr), timedOut: false })
  }

  #ended(server: ChildProcess): void {
    if (this.#server !== server) return
    this.#server = undefined
    for (const { resolve, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      resolve({ code: null, stdout: '', stderr: 'the virtual machine of the tools ended', timedOut: false })
    }
    this.#waiting.clear()
  }
}

/** Compiles the server into a temporary folder, which becomes a part of the boot class path. */
async function compile(): Promise<string> {
  const classes = mkdtempSync(join(tmpdir(), 'moldau-tools-'))
  const outcome = await run('javac', ['-d', classes, resolve('test/interop/ToolServer.java')])
  if (outcome.code !== 0) throw new Error(`javac: ${outcome.stderr}`)
  return classes
}
