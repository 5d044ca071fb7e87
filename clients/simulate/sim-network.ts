// Hosts, the ports they listen on, and the connections between them. A host answers for its processes as an operating
// system does: it completes connections while a process is stopped, refuses them when nobody listens, and is silent
// without power or behind a cut wire.
import type { ByteStream, Listening, ListenOptions, Network } from '../../broker/net/network.ts'
import type { Agenda } from './agenda.ts'
import type { Dice } from './dice.ts'
import { type Latency, Link } from './sim-links.ts'
import type { SimProcess } from './sim-process.ts'
import { SimStream } from './sim-stream.ts'
import type { Trace } from './trace.ts'

/** When a connection that nobody answers is asked for again, and when it is given up (Linux: tcp_syn_retries 6). */
const ASKED_AGAIN_MS = [1000, 3000, 7000, 15_000, 31_000, 63_000]
const GIVEN_UP_MS = 127_000
const LOOPBACK: Latency = { leastUs: 10, mostUs: 40 }
const EPHEMERAL_PORT = 32_768
const OWN_NAMES = new Set(['localhost', '127.0.0.1', '::1', ''])

interface Port {
  readonly process: SimProcess
  readonly onStream: (stream: ByteStream) => void
}

class Host {
  readonly name: string
  readonly address: string
  readonly ports = new Map<number, Port>()
  readonly streams = new Set<SimStream>()
  isDown = false
  #nextPort = EPHEMERAL_PORT

  constructor(name: string, address: string) {
    this.name = name
    this.address = address
  }

  freePort(): number {
    const port = this.#nextPort
    this.#nextPort = port === 60_999 ? EPHEMERAL_PORT : port + 1
    return this.ports.has(port) ? this.freePort() : port
  }
}

/** What one process sees of the network. */
interface Attachment {
  readonly host: Host
  readonly process: SimProcess
}

export class SimNetwork {
  readonly #agenda: Agenda
  readonly #trace: Trace
  readonly #dice: Dice
  readonly #latency: Latency
  readonly #hosts = new Map<string, Host>()
  readonly #links = new Map<string, Link>()

  constructor(parts: { agenda: Agenda; trace: Trace; dice: Dice; latency: Latency }) {
    this.#agenda = parts.agenda
    this.#trace = parts.trace
    this.#dice = parts.dice
    this.#latency = parts.latency
  }

  addHost(name: string): void {
    const count = this.#hosts.size + 1
    this.#hosts.set(name, new Host(name, `10.0.${count >> 8}.${count & 255}`))
  }

  /** The network as a process on that host sees it. When the process ends, so do its ports and connections. */
  attach(hostName: string, process: SimProcess): Network {
    const host = this.#host(hostName)
    process.onEnd(() => this.#leave(host, process))
    return {
      listen: (options, onStream) => this.#listen({ host, process }, options, onStream),
      connect: (name, port) => this.#connect({ host, process }, name, port)
    }
  }

  // Faults. Names are those of hosts; each works on one direction unless it says otherwise.

  /** Silence from here to there: what is sent comes after `heal`. */
  cut(from: string, to: string): void {
    this.link(from, to).cut()
  }

  heal(from: string, to: string): void {
    this.link(from, to).heal()
  }

  /** No wire from or to the host carries anything. */
  isolate(name: string): void {
    for (const other of this.#hosts.keys()) {
      if (other === name) continue
      this.cut(name, other)
      this.cut(other, name)
    }
  }

  /** Every wire is whole and as fast as at the beginning. */
  healAll(): void {
    for (const each of this.#links.values()) {
      each.delayUs = 0
      if (each.isCut) each.heal()
    }
  }

  /** From now on each segment takes so much longer. */
  delay(from: string, to: string, ms: number): void {
    this.link(from, to).delayUs = ms * 1000
  }

  /** Every connection between both is reset, as by a middlebox. Gives how many there were. */
  reset(one: string, other: string): number {
    const streams = [...this.#host(one).streams].filter(each => !each.isGone && each.to === other)
    for (const each of streams) {
      const { peer } = each
      each.receive('reset', null)
      peer?.receive('reset', null)
    }
    return streams.length
  }

  /** No power: its streams vanish without a word, and nothing that is sent to it arrives. */
  powerOff(name: string): void {
    const host = this.#host(name)
    host.isDown = true
    for (const each of host.streams) each.vanish()
    host.streams.clear()
    host.ports.clear()
    for (const other of this.#hosts.keys()) if (other !== name) this.link(other, name).setFarDown(true)
  }

  powerOn(name: string): void {
    const host = this.#host(name)
    if (!host.isDown) return
    host.isDown = false
    for (const other of this.#hosts.keys()) if (other !== name) this.link(other, name).setFarDown(false)
  }

  link(from: string, to: string): Link {
    const key = `${from}>${to}`
    let link = this.#links.get(key)
    if (link === undefined) {
      const latency = from === to ? LOOPBACK : this.#latency
      const dice = this.#dice.of(key)
      link = new Link({ from, to, agenda: this.#agenda, trace: this.#trace, dice, latency })
      if (this.#hosts.get(to)?.isDown) link.setFarDown(true)
      this.#links.set(key, link)
    }
    return link
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no host has the name ${name}`)
    return host
  }

  #leave(host: Host, process: SimProcess): void {
    for (const [port, each] of host.ports) if (each.process === process) host.ports.delete(port)
    for (const each of host.streams) {
      if (each.process !== process) continue
      host.streams.delete(each)
      // A process that dies with bytes unread resets; else its system says goodbye in order.
      each.give(this.#dice.isOneIn(4))
    }
  }

  async #listen(
    { host, process }: Attachment,
    options: ListenOptions,
    onStream: (stream: ByteStream) => void
  ): Promise<Listening> {
    const isOwn = OWN_NAMES.has(options.host) || ['::', '0.0.0.0', host.name, host.address].includes(options.host)
    if (!isOwn) throw systemError('EADDRNOTAVAIL', `listen ${options.host}`)
    const port = options.port === 0 ? host.freePort() : options.port
    if (host.ports.has(port)) throw systemError('EADDRINUSE', `listen ${options.host}:${port}`)
    const entry = { process, onStream }
    host.ports.set(port, entry)
    const close = (): void => {
      if (host.ports.get(port) === entry) host.ports.delete(port)
    }
    return { port, close }
  }

  #connect({ host, process }: Attachment, name: string, port: number): ByteStream {
    const target = OWN_NAMES.has(name) ? host : this.#find(name)
    const link = this.link(host.name, target?.name ?? host.name)
    const stream = new SimStream({
      ...{ process, link, localAddress: host.address, localPort: host.freePort(), remotePort: port },
      ...{ remoteAddress: target?.address ?? '', allowHalfOpen: false, isConnected: false }
    })
    if (target === undefined) {
      this.#agenda.after(500, () => process.run('io', () => stream.fail('ENOTFOUND', `getaddrinfo ENOTFOUND ${name}`)))
      return stream
    }
    this.#keep(host, stream)
    this.#ask(stream, host, target, 0)
    return stream
  }

  #find(name: string): Host | undefined {
    const named = this.#hosts.get(name)
    if (named !== undefined) return named
    for (const each of this.#hosts.values()) if (each.address === name) return each
    return undefined
  }

  #keep(host: Host, stream: SimStream): void {
    host.streams.add(stream)
    stream.once('close', () => host.streams.delete(stream))
  }

  /** Asks for the connection, and again and again while nobody answers. */
  #ask(stream: SimStream, host: Host, target: Host, attempt: number): void {
    const link = this.link(host.name, target.name)
    const unheard = (): void => {
      const waitedMs = ASKED_AGAIN_MS[attempt - 1] ?? 0
      const nextMs = ASKED_AGAIN_MS[attempt]
      this.#agenda.after(((nextMs ?? GIVEN_UP_MS) - waitedMs) * 1000, () => {
        if (stream.isGone || stream.destroyed || host.isDown) return
        if (nextMs !== undefined) this.#ask(stream, host, target, attempt + 1)
        else stream.process.run('io', () => stream.fail('ETIMEDOUT', `connect ETIMEDOUT ${target.address}`))
      })
    }
    this.#agenda.after(link.drawUs(), () => {
      if (stream.isGone || stream.destroyed) return
      if (link.isSilent) unheard()
      else this.#answer(stream, host, target, unheard)
    })
  }

  #answer(stream: SimStream, host: Host, target: Host, unheard: () => void): void {
    const back = this.link(target.name, host.name)
    const port = target.ports.get(stream.remotePort)
    if (port === undefined) {
      const message = `connect ECONNREFUSED ${target.address}:${stream.remotePort}`
      this.#agenda.after(back.drawUs(), () => {
        if (back.isSilent) unheard()
        else stream.process.run('io', () => stream.fail('ECONNREFUSED', message))
      })
      return
    }
    const accepted = new SimStream({
      ...{ process: port.process, link: back, localAddress: target.address, localPort: stream.remotePort },
      ...{ remoteAddress: host.address, remotePort: stream.localPort, allowHalfOpen: true, isConnected: true }
    })
    stream.join(accepted)
    accepted.join(stream)
    this.#keep(target, accepted)
    accepted.accept()
    port.process.run('io', () => port.onStream(accepted))
  }
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${what}: ${code}`), { code })
}
