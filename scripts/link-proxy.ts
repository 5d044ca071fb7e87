// The links between brokers of one machine, as a proxy that can stop one direction of them: hold what is sent, as a network
// that loses packets does, or reset what is connected. One listener for each (from, to, port), so that it is known
// who calls whom; controllers' ports as well as brokers'.
import net from 'node:net'
import type { NodeLayout } from '../clients/dev/layout.ts'

export type CutMode = 'hold' | 'reset'

/** One connection: `near` is the end of the node that opened it. */
interface Wire {
  readonly from: number
  readonly to: number
  readonly near: net.Socket
  far: net.Socket | null
}

const HOST = '127.0.0.1'
const name = (from: number, to: number): string => `${from}>${to}`

export class LinkProxy {
  readonly #layout: readonly NodeLayout[]
  readonly #servers = new Map<string, net.Server>()
  readonly #ports = new Map<string, number>()
  readonly #wires = new Set<Wire>()
  readonly #cuts = new Map<string, CutMode>()

  constructor(layout: readonly NodeLayout[]) {
    this.#layout = layout
  }

  async start(): Promise<void> {
    for (const from of this.#layout) {
      for (const to of this.#layout) {
        if (from.nodeId !== to.nodeId) for (const port of portsOf(to)) await this.#listen(from.nodeId, to, port)
      }
    }
  }

  /** For LINK_PORTS of one node: where it finds the others. */
  environmentOf(nodeId: number): Record<string, string> {
    const others = this.#layout.filter(each => each.nodeId !== nodeId)
    const links = others.flatMap(to =>
      portsOf(to).map(port => [`${to.host}:${port}`, this.#ports.get(`${nodeId}>${port}`)] as const)
    )
    return { LINK_PORTS: JSON.stringify(Object.fromEntries(links)) }
  }

  /** Nothing gets from one to the other; the way back stays. */
  cut(from: number, to: number, mode: CutMode): void {
    this.#cuts.set(name(from, to), mode)
    for (const wire of this.#wires) {
      if (!(wire.from === from && wire.to === to) && !(wire.from === to && wire.to === from)) continue
      if (mode === 'reset') end(wire)
      else this.#flow(wire)
    }
  }

  heal(from: number, to: number): void {
    this.#cuts.delete(name(from, to))
    for (const wire of this.#wires) this.#flow(wire)
  }

  /** The node is dead: nobody listens there. Told before it is killed, so that a proxy does not answer for it. */
  async down(nodeId: number): Promise<void> {
    const mine = [...this.#servers].filter(([key]) => this.#portsOfNode(nodeId).includes(Number(key.split('>')[1])))
    for (const [, server] of mine) server.close()
    for (const wire of this.#wires) if (wire.to === nodeId && wire.far === null) end(wire)
    for (const [key] of mine) this.#servers.delete(key)
  }

  /** It is about to start. */
  async up(nodeId: number): Promise<void> {
    const to = this.#layout.find(each => each.nodeId === nodeId) as NodeLayout
    for (const from of this.#layout) {
      if (from.nodeId === nodeId) continue
      for (const port of portsOf(to)) {
        if (!this.#servers.has(`${from.nodeId}>${port}`)) await this.#listen(from.nodeId, to, port)
      }
    }
  }

  stop(): void {
    for (const server of this.#servers.values()) server.close()
    for (const wire of this.#wires) end(wire)
  }

  #portsOfNode(nodeId: number): number[] {
    return portsOf(this.#layout.find(each => each.nodeId === nodeId) as NodeLayout)
  }

  async #listen(from: number, to: NodeLayout, port: number): Promise<void> {
    const key = `${from}>${port}`
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, near => {
      this.#accept(near, from, to, port)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#ports.get(key) ?? 0, HOST, resolve)
    })
    this.#servers.set(key, server)
    this.#ports.set(key, (server.address() as net.AddressInfo).port)
  }

  #accept(near: net.Socket, from: number, to: NodeLayout, port: number): void {
    const wire: Wire & { readonly port: number; readonly host: string } = {
      ...{ from, to: to.nodeId, near, far: null, port, host: to.host }
    }
    near.on('error', () => {})
    if (this.#cuts.get(name(from, to.nodeId)) === 'reset' || this.#cuts.get(name(to.nodeId, from)) === 'reset') {
      near.resetAndDestroy()
      return
    }
    this.#wires.add(wire)
    near.on('close', () => this.#closed(wire, 'near'))
    this.#flow(wire)
  }

  #open(wire: Wire & { readonly port?: number; readonly host?: string }): void {
    const far = net.connect({ host: wire.host ?? HOST, port: wire.port ?? 0, noDelay: true, allowHalfOpen: true })
    wire.far = far
    far.on('error', () => {})
    far.on('close', () => this.#closed(wire, 'far'))
    const { near } = wire
    near.on('data', chunk => {
      if (!far.write(chunk)) near.pause()
    })
    far.on('data', chunk => {
      if (!near.write(chunk)) far.pause()
    })
    far.on('drain', () => this.#flow(wire))
    near.on('drain', () => this.#flow(wire))
    near.on('end', () => far.end())
    far.on('end', () => near.end())
  }

  /** Opens it once both directions carry, and lets flow what may. */
  #flow(wire: Wire): void {
    const isOut = !this.#cuts.has(name(wire.from, wire.to))
    const isBack = !this.#cuts.has(name(wire.to, wire.from))
    if (wire.far === null) {
      if (!isOut || !isBack || wire.near.destroyed) return
      this.#open(wire)
    }
    const far = wire.far as unknown as net.Socket
    if (isOut) wire.near.resume()
    else wire.near.pause()
    if (isBack) far.resume()
    else far.pause()
    if (isOut && wire.near.destroyed) far.resetAndDestroy()
    if (isBack && far.destroyed) wire.near.resetAndDestroy()
  }

  /** The other end hears of it, unless the way there is cut: then when it is healed. */
  #closed(wire: Wire, which: 'near' | 'far'): void {
    const { near, far } = wire
    if (far === null || (near.destroyed && far.destroyed)) {
      this.#wires.delete(wire)
      return
    }
    const isOpen = !this.#cuts.has(which === 'near' ? name(wire.from, wire.to) : name(wire.to, wire.from))
    if (isOpen) (which === 'near' ? far : near).resetAndDestroy()
  }
}

function end({ near, far }: Wire): void {
  near.resetAndDestroy()
  far?.resetAndDestroy()
}

function portsOf(node: NodeLayout): number[] {
  return [node.port, node.controllerPort]
}
