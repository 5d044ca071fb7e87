// The port to the network: everything that the broker asks of TCP, and nothing else. nodeNetwork is the real one, and
// its streams are net.Socket themselves, so that the way of a byte is not one call longer; the simulator has another.
import net from 'node:net'

/** A place that can be connected to. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** What is used of a TCP connection; a net.Socket is one, and its documentation is the rule for every other. */
export interface ByteStream {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly destroyed: boolean
  /** Bytes that were written and that the system has not taken. */
  readonly writableLength: number
  setNoDelay(noDelay?: boolean): unknown
  /** `done` is called when the system has taken the bytes, or with the error that ended the stream. */
  write(bytes: Uint8Array | string, done?: (error?: Error | null) => void): boolean
  cork(): void
  uncork(): void
  pause(): unknown
  resume(): unknown
  /** No more will be written; what was is still sent. */
  end(): unknown
  destroy(error?: Error): unknown
  /** Ends once everything that was written has been taken by the system. */
  destroySoon(): unknown
  /** With a reset, as a process that dies. */
  resetAndDestroy(): unknown
  on(event: 'connect' | 'drain' | 'end' | 'close', listener: () => void): this
  /** The chunk's bytes are the stream's again when the listener returns: it receives into the same memory. */
  on(event: 'data', listener: (chunk: Buffer) => void): this
  on(event: 'error', listener: (error: Error) => void): this
  once(event: 'connect' | 'drain' | 'end' | 'close', listener: () => void): this
  once(event: 'error', listener: (error: Error) => void): this
  off(event: 'connect' | 'drain' | 'end' | 'close', listener: () => void): this
  off(event: 'error', listener: (error: Error) => void): this
}

export interface ListenOptions {
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  readonly backlog: number
  readonly ipv6Only?: boolean
}

export interface Listening {
  readonly port: number
  /** Accepts no more; what was accepted stays. */
  close(): void
}

export interface Network {
  /** Rejects with the system's error (its `code`: EADDRINUSE, EACCES, ...). `onError`: one connection could not be
   *  accepted (out of descriptors); the listener stays. */
  listen(
    options: ListenOptions,
    onStream: (stream: ByteStream) => void,
    onError: (error: Error) => void
  ): Promise<Listening>
  /** The stream says 'connect', or 'error' (`code`: ECONNREFUSED, ETIMEDOUT, ...) and 'close'. What is written before
   *  is sent once it is connected. */
  connect(host: string, port: number): ByteStream
}

/** All sockets receive into this: a chunk is taken apart before the next one is read. Without it Node takes 64 KiB from
 *  the system for each read, however short, and its garbage collector is kept busy by them. */
const received = Buffer.allocUnsafeSlow(256 * 1024)

/** net.Socket, received into that memory (`onread`); it says 'data' as any other. */
function receiving(options: object): net.Socket {
  const socket: net.Socket = new net.Socket({
    ...options,
    onread: {
      buffer: received,
      callback: (count: number) => {
        socket.emit('data', received.subarray(0, count))
        return true
      }
    }
  } as net.SocketConstructorOpts)
  return socket
}

/** A server gives no say in how its sockets receive: the connection is moved to a socket that does. */
function adopt(accepted: net.Socket): net.Socket {
  const own = accepted as net.Socket & { _handle: object | null }
  const handle = own._handle
  if (handle === null || !('useUserBuffer' in handle)) {
    accepted.resume()
    return accepted
  }
  own._handle = null
  accepted.destroy()
  return receiving({ handle, allowHalfOpen: true, readable: true, writable: true })
}

export const nodeNetwork: Network = {
  listen(options, onStream, onError) {
    // Half open: a client that has sent its last request still gets the answers.
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, accepted =>
      onStream(adopt(accepted))
    )
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(options, () => {
        server.off('error', reject)
        server.on('error', onError)
        resolve({ port: (server.address() as net.AddressInfo).port, close: () => void server.close() })
      })
    })
  },
  connect: (host, port) => receiving({ noDelay: true }).connect({ host, port, noDelay: true })
}

/** The code of a system's error: ECONNREFUSED, EADDRINUSE, ... */
export function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code
}

/** IPv4 addresses that arrive on an IPv6 socket are IPv4 to people and to clients. */
export function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '')
}
