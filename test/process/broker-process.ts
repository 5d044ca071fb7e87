// A real broker process for tests: own port, own directory, killed or stopped as the test says. Never outlives the test.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Connection, connect } from '../../clients/connection.ts'

/** The test runner puts a hook of its own into every node that a test starts, whatever environment it is given; it would
 *  use the thread pool before the broker sets its size. */
export const UNHOOKED = ['env', '-u', 'NODE_OPTIONS', process.execPath] as const
const CLI = fileURLToPath(new URL('../../broker/moldau.cjs', import.meta.url))
const START_LIMIT_MS = 30_000

export interface ProcessOptions {
  readonly directory: string
  readonly set?: Readonly<Record<string, string | number>>
  readonly env?: Readonly<Record<string, string>>
  /** Options of Node itself: `--import`, ... */
  readonly nodeOptions?: readonly string[]
  /** A program that runs the broker: strace, ... */
  readonly under?: readonly string[]
  readonly uid?: number
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export class BrokerProcess {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  #port = 0
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.#stdout,
      stderr: this.#stderr
    }))
  }

  /** Starts it and does not wait. */
  static spawn(o: ProcessOptions): BrokerProcess {
    const set = {
      'log.dirs': o.directory,
      listeners: 'PLAINTEXT://127.0.0.1:0',
      'moldau.http.listener': 'off',
      ...o.set
    }
    const flags = Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    const command = [...(o.under ?? []), ...UNHOOKED, ...(o.nodeOptions ?? []), CLI, 'start', ...flags]
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...o.env },
      ...(o.uid === undefined ? {} : { uid: o.uid, gid: o.uid })
    })
    return new BrokerProcess(child)
  }

  /** Starts it and waits until it is ready. */
  static async start(o: ProcessOptions): Promise<BrokerProcess> {
    const broker = BrokerProcess.spawn(o)
    await broker.ready()
    return broker
  }

  async ready(): Promise<void> {
    await this.#said(/ is ready on \S*:(\d+)/).then(match => {
      this.#port = Number(match[1])
    })
  }

  get port(): number {
    return this.#port
  }

  get pid(): number {
    return this.child.pid as number
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  connect(): Promise<Connection> {
    return connect('127.0.0.1', this.#port, { clientId: 'test' })
  }

  /** Waits until the log has such a line. */
  async logs(pattern: RegExp): Promise<void> {
    const limit = Date.now() + START_LIMIT_MS
    while (!pattern.test(this.#stderr)) {
      if (Date.now() > limit) throw new Error(`never logged ${pattern}: ${this.#stderr}`)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  async kill(): Promise<Ended> {
    this.child.kill('SIGKILL')
    return await this.ended
  }

  async stop(): Promise<Ended> {
    this.child.kill('SIGTERM')
    return await this.ended
  }

  #said(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.#stdout)
        if (match) done(() => resolve(match))
      }
      const limit = setTimeout(
        () => done(() => reject(new Error(`not ready: ${this.#stdout}${this.#stderr}`))),
        START_LIMIT_MS
      )
      const done = (end: () => void) => {
        clearTimeout(limit)
        this.child.stdout?.off('data', look)
        end()
      }
      this.child.stdout?.on('data', look)
      void this.ended.then(({ code, stderr }) =>
        done(() => reject(new Error(`the broker ended with ${code}: ${stderr}`)))
      )
      look()
    })
  }
}
