// Reads the golden files: one JSON object a line, the large ones compressed. Kafka's own Java code wrote the bytes.

import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'

/** The lines of test/golden/<name>; tests run with the repository as their working directory. */
export function golden<T>(name: string): T[] {
  const file = readFileSync(`test/golden/${name}`)
  const text = (name.endsWith('.br') ? brotliDecompressSync(file) : file).toString()
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as T)
}

export interface MessageVector {
  key: number
  type: 'request' | 'response'
  version: number
  case: string
  hex: string
  json: Record<string, unknown>
}

export interface RecordVector {
  topic: string
  record: string
  type: number
  part: 'key' | 'value'
  version: number
  case: string
  hex: string
  json: Record<string, unknown>
}
