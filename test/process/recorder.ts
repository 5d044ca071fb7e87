// Loaded into a broker process before everything else (node --import): notes, in one order, every write to a log file with
// the batches in it, every begin and end of an fdatasync, and every frame that is handed to a socket. Written to the
// file that MOLDAU_RECORD names when the process ends. The broker knows nothing of it.
import fs from 'node:fs'
import net from 'node:net'
import { basename, dirname } from 'node:path'
import { baseOffset, batchesOf, lastOffset } from '../../protocol/records/batch.ts'

export type Recorded =
  | {
      readonly kind: 'write'
      readonly file: string
      readonly batches: readonly (readonly [first: number, last: number])[]
    }
  | { readonly kind: 'sync-begin'; readonly file: string; readonly sync: number }
  | { readonly kind: 'sync-end'; readonly file: string; readonly sync: number; readonly ok: boolean }
  | { readonly kind: 'response'; readonly peer: number; readonly correlationId: number }

/** A partition's log file, by the name of its directory; what else is written is of no interest here. */
function nameOf(path: string): string | null {
  return path.endsWith('.log') ? `${basename(dirname(path))}/${basename(path)}` : null
}

/** Size and correlation id. */
const HEAD_BYTES = 8

function record(target: string): void {
  const events: Recorded[] = []
  const names = new Map<number, string>()
  recordFiles(events, names)
  recordSockets(events)
  process.on('exit', () => fs.writeFileSync(target, JSON.stringify(events)))
}

function recordFiles(events: Recorded[], names: Map<number, string>): void {
  const { openSync, writeSync, writevSync, fdatasync } = fs
  fs.openSync = (path, ...rest) => {
    const fd = openSync(path, ...rest)
    const name = nameOf(String(path))
    if (name === null) names.delete(fd)
    else names.set(fd, name)
    return fd
  }
  const written = (fd: number, bytes: Buffer) => {
    const file = names.get(fd)
    if (file === undefined) return
    const batches = [...batchesOf(bytes)].map(at => [baseOffset(bytes, at), lastOffset(bytes, at)] as const)
    events.push({ kind: 'write', file, batches })
  }
  fs.writevSync = (fd, buffers, ...rest) => {
    const count = writevSync(fd, buffers, ...rest)
    written(fd, Buffer.concat(buffers as Uint8Array[]))
    return count
  }
  fs.writeSync = ((fd: number, buffer: Buffer, ...rest: number[]) => {
    const count = (writeSync as (...args: unknown[]) => number)(fd, buffer, ...rest)
    if (Buffer.isBuffer(buffer)) written(fd, buffer)
    return count
  }) as typeof fs.writeSync
  let syncs = 0
  fs.fdatasync = ((fd: number, done: (error: Error | null) => void) => {
    const file = names.get(fd)
    if (file === undefined) return fdatasync(fd, done)
    const sync = ++syncs
    events.push({ kind: 'sync-begin', file, sync })
    fdatasync(fd, error => {
      events.push({ kind: 'sync-end', file, sync, ok: error === null })
      done(error)
    })
  }) as typeof fs.fdatasync
}

/** Cuts what one socket is given into response frames; writes need not begin or end with one. */
class Responses {
  readonly #peer: number
  #head: Buffer = Buffer.alloc(0)
  #remaining = 0

  constructor(peer: number) {
    this.#peer = peer
  }

  push(chunk: Buffer, events: Recorded[]): void {
    let bytes = chunk
    while (bytes.length > 0) {
      if (this.#remaining > 0) {
        const taken = Math.min(this.#remaining, bytes.length)
        this.#remaining -= taken
        bytes = bytes.subarray(taken)
        continue
      }
      const missing = HEAD_BYTES - this.#head.length
      this.#head = Buffer.concat([this.#head, bytes.subarray(0, missing)])
      bytes = bytes.subarray(missing)
      if (this.#head.length < HEAD_BYTES) return
      events.push({ kind: 'response', peer: this.#peer, correlationId: this.#head.readInt32BE(4) })
      this.#remaining = this.#head.readInt32BE(0) - 4
      this.#head = Buffer.alloc(0)
    }
  }
}

function recordSockets(events: Recorded[]): void {
  const { write } = net.Socket.prototype
  const responses = new WeakMap<net.Socket, Responses>()
  net.Socket.prototype.write = function (this: net.Socket, chunk: unknown, ...others: unknown[]) {
    if (Buffer.isBuffer(chunk) && this.remotePort !== undefined) {
      const cutter = responses.get(this) ?? new Responses(this.remotePort)
      responses.set(this, cutter)
      cutter.push(chunk, events)
    }
    return (write as (...args: unknown[]) => boolean).call(this, chunk, ...others)
  } as typeof write
}

if (process.env.MOLDAU_RECORD) record(process.env.MOLDAU_RECORD)
