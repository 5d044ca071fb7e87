// The principal inside an Envelope request (KIP-590): int16 version, then the fields.

import { codecOf } from '../compile.ts'
import { Cursor } from '../cursor.ts'
import { encodeBody } from '../frame.ts'
import { bool, message, type RecordOf, text } from '../schema.ts'

/** The principal of a forwarded client. */
export const defaultPrincipalData = message({
  name: 'DefaultPrincipalData',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    type: text,
    name: text,
    tokenAuthenticated: bool
  }
})

export type Principal = RecordOf<typeof defaultPrincipalData>

export function decodePrincipal(value: Buffer): Principal {
  const cursor = new Cursor(value)
  return codecOf(defaultPrincipalData, cursor.i16()).read(cursor)
}

export function encodePrincipal(principal: Principal): Buffer {
  return encodeBody(codecOf(defaultPrincipalData, 0), principal, sink => sink.i16(0))
}
