// controller.quorum.voters: the controllers of a quorum whose members do not change, `id@host:port` each, the same list
// on every node (QuorumConfig.java). This node must be among them, and listen where the others will look for it.
import { MoldauError } from '../../protocol/failure.ts'
import { isEveryAddress, type Listener } from './endpoints.ts'

export interface VoterAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

const KEY = 'controller.quorum.voters'

/** Empty where the setting is: the node is alone. Throws ERR_CONFIG. */
export function votersOf(texts: readonly string[]): VoterAddress[] {
  const voters = texts.map(text => {
    const match = /^(\d+)@(\[[\da-fA-F:.]+(?:%\w+)?\]|[^\s@:[\]]+):(\d{1,5})$/.exec(text)
    const port = Number(match?.[3])
    const nodeId = Number(match?.[1])
    if (match === null || port > 65535 || nodeId > 2 ** 31 - 1) fail(texts, `'${text}' must be id@host:port`)
    return { nodeId, host: (match[2] as string).replace(/^\[|\]$/g, ''), port }
  })
  for (const [index, voter] of voters.entries()) {
    for (const other of voters.slice(0, index)) {
      if (other.nodeId === voter.nodeId) fail(texts, `node ${voter.nodeId} stands twice`)
      if (other.host === voter.host && other.port === voter.port) {
        fail(texts, `nodes ${other.nodeId} and ${voter.nodeId} have the same address`)
      }
    }
  }
  return voters
}

/** Throws ERR_CONFIG where the list does not fit this node. */
export function checkVoters(
  voters: readonly VoterAddress[],
  texts: readonly string[],
  nodeId: number,
  listeners: readonly Listener[]
): void {
  if (voters.length === 0) return
  const own = voters.find(each => each.nodeId === nodeId)
  if (own === undefined) fail(texts, `it must name this node, whose node.id is ${nodeId}`)
  if (voters.length === 1) return
  const nowhere = voters.find(each => each.port === 0 || isEveryAddress(each.host))
  if (nowhere !== undefined) {
    fail(texts, `nobody can connect to ${nowhere.host}:${nowhere.port}; name an address and a port`)
  }
  const offered = listeners.filter(each => each.controller)
  if (offered.length === 0)
    fail(texts, 'a controller among several needs a listener named in controller.listener.names')
  // A port may be mapped on its way to this node: what cannot be right is another port of the very same host.
  const misses = offered.every(each => each.port === 0 || (each.host === own.host && each.port !== own.port))
  if (misses) {
    const shown = offered.map(each => `${each.name}://${each.host}:${each.port}`).join(', ')
    fail(texts, `node ${nodeId} is at ${own.host}:${own.port} there, but its controller listens on ${shown}`)
  }
}

function fail(texts: readonly string[], message: string): never {
  throw new MoldauError('ERR_CONFIG', `${KEY}=${texts.join(',')}: ${message}`)
}
