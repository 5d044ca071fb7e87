// One broker of a local cluster as a process of its own: started, killed, paused and stopped as people or tests say. It
// is in a session of its own, so that a Ctrl-C reaches whoever commands it and not the broker, and it ends when its
// commander is gone, however that one ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { MoldauError } from '../../protocol/failure.ts'

export type NodeState = 'starting' | 'running' | 'paused' | 'stopping' | 'stopped' | 'killed' | 'failed'

export interface NodeProcessOptions {
  readonly nodeId: number
  /** What runs the command line: node, its options, the script. */
  readonly command: readonly string[]
  /** Its properties file. */
  readonly file: string
  /** `key=value` each: they go before the file and the environment. */
  readonly set?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Every line of its log. */
  readonly onLine?: (line: string) => void
  /** It ended without having been asked to. */
  readonly onFailed?: (reason: string) => void
}

export class NodeProcess {
  readonly nodeId: number
  readonly #options: NodeProcessOptions
  #child: ChildProcess | null = null
  #state: NodeState = 'stopped'
  #ended: Promise<void> = Promise.resolve()
  #ready: Promise<void> = Promise.resolve()
  #isReady = false
  #lastWords = ''

  constructor(options: NodeProcessOptions) {
    this.nodeId = options.nodeId
    this.#options = options
  }

  get state(): NodeState {
    return this.#state
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Resolves when there is no process any more. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** As `start()` of its present process. */
  get ready(): Promise<void> {
    return this.#ready
  }

  /** It can answer: neither down nor held. */
  get isUp(): boolean {
    return this.#state === 'running' || this.#state === 'starting'
  }

  get isDown(): boolean {
    return this.#state === 'stopped' || this.#state === 'killed' || this.#state === 'failed'
  }

  /** Resolves when the broker is ready; rejects with its own last line if it ends before. */
  start(): Promise<void> {
    if (!this.isDown) return Promise.resolve()
    const { command, file, set = [], env } = this.#options
    const [program, ...args] = [
      ...[...command, 'start', '--with-parent', file],
      ...set.flatMap(each => ['--set', each])
    ]
    const child = spawn(program as string, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: process.platform !== 'win32',
      env: { ...process.env, ...env }
    })
    this.#child = child
    this.#state = 'starting'
    this.#isReady = false
    this.#lastWords = ''
    this.#ended = new Promise(resolve => {
      child.once('close', (code, signal) => {
        this.#onEnd(signal ?? `code ${code}`)
        resolve()
      })
      child.once('error', error => {
        this.#lastWords = error.message
      })
    })
    this.#listen(child)
    this.#ready = this.#untilReady(child)
    return this.#ready
  }

  /** In order: hands over what it leads, and finishes what it accepted. */
  stop(): Promise<void> {
    if (this.isDown) return this.#ended
    if (this.#state === 'paused') this.#signal('SIGCONT')
    this.#state = 'stopping'
    this.#signal('SIGTERM')
    return this.#ended
  }

  /** As a power cut: SIGKILL. */
  kill(): Promise<void> {
    if (this.isDown) return this.#ended
    this.#state = 'killed'
    this.#signal('SIGKILL')
    return this.#ended
  }

  /** SIGSTOP: alive to the system, silent to the cluster. */
  pause(): void {
    if (!this.isUp) return
    this.#state = 'paused'
    this.#signal('SIGSTOP')
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = this.#isReady ? 'running' : 'starting'
    this.#signal('SIGCONT')
  }

  #signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  #listen(child: ChildProcess): void {
    if (child.stderr === null) return
    createInterface({ input: child.stderr }).on('line', line => {
      const said = /^moldau: (.*)$/.exec(line)?.[1]
      if (said !== undefined) this.#lastWords = said
      this.#options.onLine?.(line)
    })
  }

  #untilReady(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      if (child.stdout === null) return reject(new Error('the process has no standard output'))
      createInterface({ input: child.stdout }).on('line', line => {
        if (!/^moldau \S+ is ready on/.test(line)) return
        this.#isReady = true
        if (this.#state === 'starting') this.#state = 'running'
        resolve()
      })
      void this.#ended.then(() =>
        reject(new MoldauError('ERR_CLOSED', this.#lastWords || `node ${this.nodeId} ended before it was ready`))
      )
    })
  }

  #onEnd(how: string): void {
    this.#child = null
    if (this.#state === 'killed') return
    if (this.#state === 'stopping') {
      this.#state = 'stopped'
      return
    }
    this.#state = 'failed'
    this.#options.onFailed?.(this.#lastWords || `it ended with ${how}`)
  }
}
