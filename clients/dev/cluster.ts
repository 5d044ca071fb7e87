// The processes of a local cluster and what can be done to them, without a word to people: `moldau dev`, tests, the soak
// and the benchmark all drive their brokers through this.

import type { NodeLayout } from './layout.ts'
import { NodeProcess } from './node-process.ts'
import { type ClusterView, type Place, Watch } from './watch.ts'

export interface LocalClusterOptions {
  readonly nodes: readonly NodeLayout[]
  /** What runs the command line: node, its options, the script. */
  readonly command: readonly string[]
  readonly env?: (nodeId: number) => Readonly<Record<string, string>>
  readonly onLine?: (nodeId: number, line: string) => void
  readonly onFailed?: (nodeId: number, reason: string) => void
}

const POLL_MS = 20

export class LocalCluster {
  readonly layout: readonly NodeLayout[]
  readonly watch = new Watch()
  readonly #processes: ReadonlyMap<number, NodeProcess>

  constructor({ nodes, command, env, onLine, onFailed }: LocalClusterOptions) {
    this.layout = nodes
    this.#processes = new Map(
      nodes.map(({ nodeId, file, set = [] }) => [
        nodeId,
        new NodeProcess({
          nodeId,
          command,
          file,
          set,
          ...(env === undefined ? {} : { env: env(nodeId) }),
          onLine: line => onLine?.(nodeId, line),
          onFailed: reason => onFailed?.(nodeId, reason)
        })
      ])
    )
    // Whatever ends this process, its brokers go with it; those that it cannot tell any more notice by themselves.
    process.on('exit', this.#killNow)
  }

  get bootstrap(): string {
    return this.layout.map(({ host, port }) => `${host}:${port}`).join(',')
  }

  get processes(): readonly NodeProcess[] {
    return [...this.#processes.values()]
  }

  process(nodeId: number): NodeProcess {
    const found = this.#processes.get(nodeId)
    if (found === undefined) throw new RangeError(`there is no node ${nodeId}`)
    return found
  }

  has(nodeId: number): boolean {
    return this.#processes.has(nodeId)
  }

  /** Where the nodes are that can answer. */
  places(): Place[] {
    return this.layout.filter(({ nodeId }) => this.process(nodeId).state === 'running')
  }

  /** Starts all, and resolves when each knows of all. Rejects when one ends before. */
  async start(): Promise<void> {
    await Promise.all(this.processes.map(each => each.start()))
    await this.whole()
  }

  /** Resolves when every running node counts every running node among the live ones. */
  async whole(limitMs = 60_000): Promise<void> {
    const places = this.places()
    const isWhole = async (place: Place) => {
      const view = await this.watch.view(place)
      return view !== null && places.every(({ nodeId }) => view.brokers.includes(nodeId))
    }
    for (const place of places) await until(() => isWhole(place), limitMs, `node ${place.nodeId} to know of all`)
  }

  /** What the first node says that answers. */
  view(limitMs?: number): Promise<ClusterView | null> {
    return this.watch.first(this.places(), place => this.watch.view(place, limitMs))
  }

  controller(limitMs?: number): Promise<number | null> {
    return this.watch.first(this.places(), place => this.watch.controller(place, limitMs))
  }

  /** In order. The controller goes last, so that it can hand over for the others. */
  async stop(): Promise<void> {
    for (const each of this.processes) each.resume()
    const last = this.processes.some(each => !each.isDown) ? await this.controller(500) : null
    this.watch.close()
    await Promise.all(this.processes.filter(each => each.nodeId !== last).map(each => each.stop()))
    if (last !== null) await this.process(last).stop()
    process.off('exit', this.#killNow)
  }

  async kill(): Promise<void> {
    this.watch.close()
    await Promise.all(this.processes.map(each => each.kill()))
    process.off('exit', this.#killNow)
  }

  readonly #killNow = (): void => {
    for (const each of this.processes) void each.kill()
  }
}

/** Asks again and again; rejects after the limit. */
export async function until(isSo: () => Promise<boolean>, limitMs: number, what: string): Promise<void> {
  const end = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}
