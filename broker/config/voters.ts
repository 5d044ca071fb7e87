// controller.quorum.voters: the controllers of a quorum whose members do not change, `id@host:port` each, the same list
// on every node (QuorumConfig.java). This node must be among them, and listen where the others will look for it. Without
// that list a node is alone: one whose file says that controllers are elsewhere must not begin a cluster of its own.
import { hostname } from 'node:os'
import { MoldauError } from '../../protocol/failure.ts'
import { type AdvertisedListener, isEveryAddress, type Listener } from './endpoints.ts'

export interface VoterAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** What the rest of its settings say of this node. */
export interface ThisNode {
  readonly nodeId: number
  readonly listeners: readonly Listener[]
  readonly advertisedControllers: readonly AdvertisedListener[]
  isGiven(key: string): boolean
}

const KEY = 'controller.quorum.voters'
const BOOTSTRAP = 'controller.quorum.bootstrap.servers'

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
export function checkVoters(voters: readonly VoterAddress[], texts: readonly string[], node: ThisNode): void {
  if (voters.length === 0) return
  const { nodeId, listeners } = node
  if (voters.length > 1 && !node.isGiven('node.id')) {
    fail(texts, 'a node among several must be given its own node.id, one of those that stand there')
  }
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

/** Without voters this node is alone. Kafka's own file for that names the node's controller listener as the one server
 *  (config/server.properties); any other address means that controllers are to be found there. Throws ERR_CONFIG. */
export function checkBootstrapServers(
  servers: readonly string[],
  voters: readonly VoterAddress[],
  node: ThisNode
): void {
  if (voters.length > 0 || servers.length === 0) return
  if (servers.length === 1 && isOwnController(servers[0] as string, node)) return
  throw new MoldauError(
    'ERR_CONFIG',
    `${BOOTSTRAP}=${servers.join(',')}: a quorum whose members change is not built yet; ` +
      `name all controllers in ${KEY}, as id@host:port, the same list on every node ` +
      `(a node that is meant to be alone: leave ${BOOTSTRAP} out, or name its own controller listener)`
  )
}

function isOwnController(server: string, { listeners, advertisedControllers }: ThisNode): boolean {
  const match = /^(.+):(\d{1,5})$/.exec(server)
  if (match === null) return false
  const host = (match[1] as string).replace(/^\[|\]$/g, '').toLowerCase()
  const port = Number(match[2])
  const here = ['localhost', '127.0.0.1', '::1', hostname().toLowerCase()]
  return listeners.some(each => {
    const told = advertisedControllers.find(({ name }) => name === each.name)
    const hosts = [...here, each.host.toLowerCase(), told?.host?.toLowerCase()]
    return each.controller && port !== 0 && (port === each.port || port === told?.port) && hosts.includes(host)
  })
}

function fail(texts: readonly string[], message: string): never {
  throw new MoldauError('ERR_CONFIG', `${KEY}=${texts.join(',')}: ${message}`)
}
