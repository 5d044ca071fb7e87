// Who reaches whom among the brokers inside this process. A link has a direction: bytes from one node to the other. A cut one
// keeps its bytes back until it is healed, as a network does whose packets are sent again; nobody is told.

export class Links {
  readonly #cuts = new Set<string>()
  #groups: readonly (readonly number[])[] | null = null
  readonly #nodes = new Map<number, number>()
  readonly #watchers = new Set<() => void>()

  /** A node listens on that port. */
  learn(port: number, nodeId: number): void {
    this.#nodes.set(port, nodeId)
  }

  /** Null: nobody of this cluster. */
  nodeAt(port: number): number | null {
    return this.#nodes.get(port) ?? null
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(`${from}>${to}`) || !this.#areTogether(from, to)
  }

  cut(from: number, to: number): void {
    if (from === to) return
    this.#cuts.add(`${from}>${to}`)
    this.#tell()
  }

  /** Only nodes of a group together reach each other. Replaces an earlier one; what was cut by itself stays cut. */
  part(groups: readonly (readonly number[])[]): void {
    this.#groups = groups.map(group => [...group])
    this.#tell()
  }

  heal(): void {
    this.#cuts.clear()
    this.#groups = null
    this.#tell()
  }

  /** The answer ends the subscription. */
  onChange(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  #areTogether(from: number, to: number): boolean {
    if (from === to || this.#groups === null) return true
    return this.#groups.some(group => group.includes(from) && group.includes(to))
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}
