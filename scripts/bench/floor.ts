// The floor under every broker on this machine: what it costs to take bytes from a socket (and write them to a file), or to
// give bytes out (from memory, or from a file), without looking at any of them. A process of its own.
//   node floor.js take|take-write|give|give-file FILE ANSWER-BYTES
import { closeSync, openSync, readSync, rmSync, writeSync, writevSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { encodeResponse } from '../../protocol/frame.ts'
import { fetch } from '../../protocol/messages/fetch.ts'

const [mode = 'take', path = '', answerBytes = '0'] = process.argv.slice(2)
const FETCH_VERSION = 11
const FILE_BYTES = 64 << 20
/** writev takes no more buffers than that. */
const MOST_BUFFERS = 1024
/** Where a new file begins, so that the floor leaves no disk full. */
const TRUNCATE_AT = 4 * 2 ** 30

const records = Number(answerBytes)
let waiting: Buffer[] = []
let written = 0
let file = mode === 'take-write' ? openSync(path, 'w') : -1

function write(): void {
  const buffers = waiting
  waiting = []
  for (let at = 0; at < buffers.length; at += MOST_BUFFERS) {
    written += writevSync(file, buffers.slice(at, at + MOST_BUFFERS))
  }
  if (written > TRUNCATE_AT) {
    closeSync(file)
    rmSync(path)
    file = openSync(path, 'w')
    written = 0
  }
}

function take(chunk: Buffer): void {
  if (mode !== 'take-write') return
  if (waiting.push(chunk) === 1) setImmediate(write)
}

/** What a fetch gives, without the records at its end. */
function headOf(): Buffer {
  const topics = [
    { topic: 'floor', partitions: [{ partitionIndex: 0, abortedTransactions: null, records: Buffer.alloc(records) }] }
  ]
  const whole = Buffer.concat(encodeResponse(fetch, FETCH_VERSION, 0, { responses: topics }))
  return whole.subarray(0, whole.length - records)
}

const spare: Buffer[] = []
let readAt = 0

function recordsFor(): Buffer {
  if (mode === 'give') return fromMemory
  const buffer = spare.pop() ?? Buffer.allocUnsafe(records)
  readSync(file, buffer, 0, records, readAt)
  readAt = readAt + 2 * records > FILE_BYTES ? 0 : readAt + records
  return buffer
}

let fromMemory: Buffer = Buffer.alloc(0)
let head: Buffer = Buffer.alloc(0)

/** One answer for each frame: requests are small and mostly come whole. */
function give(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const own = Buffer.from(head)
      rest.copy(own, 4, 8, 12) // The correlation id.
      const bytes = recordsFor()
      socket.cork()
      socket.write(own)
      socket.write(bytes, () => {
        if (mode === 'give-file') spare.push(bytes)
      })
      socket.uncork()
      rest = rest.subarray(4 + rest.readInt32BE(0))
    }
  })
}

if (mode.startsWith('give')) {
  head = headOf()
  if (mode === 'give') fromMemory = Buffer.alloc(records, 1)
  else {
    file = openSync(path, 'w+')
    for (let at = 0; at < FILE_BYTES; at += 1 << 20) writeSync(file, Buffer.alloc(1 << 20, 1))
  }
}
const server = createServer({ noDelay: true }, socket => {
  socket.on('error', () => {})
  if (mode.startsWith('give')) give(socket)
  else socket.on('data', take)
}).listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  process.stdout.write(`ready on 127.0.0.1:${port}\n`)
})
process.on('disconnect', () => process.exit(0))
