// A client's request on its way to the active controller: its bytes as they came, who sent it, and from where (KIP-590;
// DefaultKafkaPrincipalBuilder.java, EnvelopeUtils.scala). The answer comes back as the client is to get it.
import { codecOf } from '../protocol/compile.ts'
import { Cursor } from '../protocol/cursor.ts'
import { ErrorCode, errorName } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import { encodeBody } from '../protocol/frame.ts'
import type { envelope } from '../protocol/messages/envelope.ts'
import { bool, message, type RequestDraft, type RequestOf, type ResponseOf, text } from '../protocol/schema.ts'
import type { RequestContext } from './handlers/handler.ts'

/** DefaultPrincipalData.json, behind its version. */
const principalData = message({
  name: 'DefaultPrincipalData',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: { type: text, name: text, tokenAuthenticated: bool }
})
const PRINCIPAL_VERSION = 0

export function envelopeOf(
  frame: Buffer,
  { principal, clientHost }: Pick<RequestContext, 'principal' | 'clientHost'>
): RequestDraft<typeof envelope> {
  const at = principal.indexOf(':')
  const data = { type: principal.slice(0, at), name: principal.slice(at + 1), tokenAuthenticated: false }
  const codec = codecOf(principalData, PRINCIPAL_VERSION)
  const requestPrincipal = encodeBody(codec, data, sink => sink.i16(PRINCIPAL_VERSION))
  return { requestData: frame, requestPrincipal, clientHostAddress: addressBytes(clientHost) }
}

/** The client's answer as a frame, with its size. Throws where the controller could do nothing with the envelope. */
export function answerIn({ errorCode, responseData }: ResponseOf<typeof envelope>): readonly Buffer[] {
  if (errorCode === ErrorCode.UNSUPPORTED_VERSION) {
    // The client shall ask again what is spoken here (ForwardingManager.scala).
    throw new MoldauError('ERR_UNSUPPORTED_VERSION', 'the active controller does not speak that version')
  }
  // Nothing that the client did: a fault between the brokers.
  if (errorCode !== ErrorCode.NONE) throw new Error(`the controller refused an envelope: ${errorName(errorCode)}`)
  const size = Buffer.alloc(4)
  size.writeInt32BE(responseData?.length ?? 0)
  return responseData === null ? [size] : [size, responseData]
}

/** `User:ANONYMOUS`; null for bytes that name nobody. */
export function principalIn({ requestPrincipal }: RequestOf<typeof envelope>): string | null {
  if (requestPrincipal === null) return null
  const cursor = new Cursor(requestPrincipal)
  try {
    if (cursor.i16() !== PRINCIPAL_VERSION) return null
    const { type, name } = codecOf(principalData, PRINCIPAL_VERSION).read(cursor)
    return `${type}:${name}`
  } catch {
    return null
  }
}

/** The client's address as text; null for bytes that are none. */
export function clientHostIn({ clientHostAddress }: RequestOf<typeof envelope>): string | null {
  if (clientHostAddress.length === 4) return [...clientHostAddress].join('.')
  if (clientHostAddress.length !== 16) return null
  return Array.from({ length: 8 }, (_, at) => clientHostAddress.readUInt16BE(at * 2).toString(16)).join(':')
}

/** Four bytes or sixteen, most significant first (InetAddress.getAddress). */
function addressBytes(host: string): Buffer {
  if (!host.includes(':')) {
    const parts = host.split('.').map(Number)
    return Buffer.from(parts.length === 4 ? parts : [0, 0, 0, 0])
  }
  const [plain = ''] = host.split('%')
  const [before = '', after] = plain.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map(each => Number.parseInt(each, 16)))
  const [head, tail] = [groups(before), groups(after ?? '')]
  const zeros = new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0)
  const bytes = Buffer.alloc(16)
  for (const [at, group] of [...head, ...zeros, ...tail].slice(0, 8).entries())
    bytes.writeUInt16BE(group & 0xffff, at * 2)
  return bytes
}
