// What a suite is, and the report that counts its checks. Each check has a limit of its own; a missing tool is
// named as a skip, never silent; a failed check does not stop the next one.
import type { Tools } from './tools.ts'

/** One process of the cluster under test. */
export interface Node {
  dataDirectory: string
  start(): Promise<void>
  stop(): Promise<void>
  kill(): Promise<void>
}

/** The broker under test. */
export interface Target {
  kind: 'moldau' | 'kafka' | 'given'
  bootstrap: string
  /** Of the controllers' listeners, if they are known. */
  controllers: string | undefined
  /** Where the broker keeps its partitions, if it is known: the checks that read files need it. */
  dataDirectory: string | undefined
  /** The processes behind the addresses, where this program started them. */
  nodes: readonly Node[]
  /** A new empty folder for what the suite writes. */
  scratch: string
  /** Kafka's own command-line tools, if they are on this machine. */
  tools: Tools | undefined
  /** True for the short run: one pass of each, and the quick part of the long suites. */
  fast: boolean
  /** Names of topics and groups get it, so that a suite can run again on one broker. */
  tag: string
}

export interface Suite {
  name: string
  /** Settings that the suite's broker is started with. */
  settings: Record<string, string>
  /** How many of them make the cluster; 1 where it says nothing. */
  nodes?: number
  run(target: Target, checks: Checks): Promise<void>
}

export interface CheckOptions {
  limitMs?: number
}

/** Counts the checks of one suite and prints one line for each. */
export class Checks {
  readonly suite: string
  passed = 0
  failed = 0
  skipped = 0
  readonly #only: string | undefined

  constructor(suite: string, only?: string) {
    this.suite = suite
    this.#only = only
  }

  /** False for a check that the command line leaves out. */
  wants(name: string): boolean {
    return this.#only === undefined || name.includes(this.#only)
  }

  /** Runs one check. Returns whether it passed. */
  async check(name: string, body: () => Promise<unknown>, options: CheckOptions = {}): Promise<boolean> {
    if (!this.wants(name)) return true
    const limitMs = options.limitMs ?? 60_000
    const begin = performance.now()
    let timer: NodeJS.Timeout | undefined
    try {
      await Promise.race([
        body(),
        new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error(`not finished after ${limitMs} ms`)), limitMs)
        })
      ])
      this.pass(name, performance.now() - begin)
      return true
    } catch (cause) {
      this.fail(name, cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  pass(name: string, ms?: number): void {
    this.passed++
    console.log(`ok      ${this.suite} > ${name}${ms === undefined ? '' : ` (${Math.round(ms)} ms)`}`)
  }

  fail(name: string, why: string): void {
    this.failed++
    console.log(`not ok  ${this.suite} > ${name}\n${why.replace(/^/gm, '        ').slice(0, 6000)}`)
  }

  /** A check that cannot run here, with the reason. */
  skip(name: string, why: string): void {
    this.skipped++
    console.log(`skip    ${this.suite} > ${name}: ${why}`)
  }
}

/** Waits until the question is answered with something, asking every 100 ms. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined> | T | undefined
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) throw new Error(`${what}: not seen within ${limitMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
