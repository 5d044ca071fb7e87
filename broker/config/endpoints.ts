// Listeners and the addresses that clients are given: `NAME://host:port` lists, as in Kafka (EndPoint, ListenerName:
// names compare in capitals). Only PLAINTEXT is spoken for now; TLS and SASL enter here and in broker/net.
import { MoldauError } from '../../protocol/failure.ts'

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'

export interface Listener {
  readonly name: string
  readonly protocol: SecurityProtocol
  /** Empty: every address. `localhost`: both loopback addresses. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Serves controllers, and is not advertised to clients. */
  readonly controller: boolean
}

export interface AdvertisedListener {
  readonly name: string
  readonly protocol: SecurityProtocol
  /** Null: none is named (a client of a lone node is told the local address of its own connection; in a cluster this
   *  machine's name is registered). */
  readonly host: string | null
  /** 0: the port that the listener of that name got. */
  readonly port: number
}

export interface Endpoints {
  readonly listeners: readonly Listener[]
  readonly advertised: readonly AdvertisedListener[]
  /** Of every controllers' listener: told to controllers, and to who asks them. */
  readonly advertisedControllers: readonly AdvertisedListener[]
  /** The listener that brokers use between each other. */
  readonly interBrokerListener: string
}

export interface EndpointSettings {
  readonly listeners: readonly string[]
  readonly advertised: readonly string[] | null
  readonly protocolMap: string
  /** Without a map of its own a controller's listener speaks PLAINTEXT, as in Kafka. */
  readonly protocolMapGiven: boolean
  readonly controllerNames: readonly string[]
  readonly interBrokerName: string | null
  readonly interBrokerProtocol: string
}

const PROTOCOLS: readonly string[] = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
const EVERYWHERE = new Set(['', '0.0.0.0', '::'])

/** True for a host that means every address of this machine: none that a client could connect to. */
export function isEveryAddress(host: string): boolean {
  return EVERYWHERE.has(host)
}

export function endpointsOf(settings: EndpointSettings): Endpoints {
  const controllers = new Set(settings.controllerNames.map(each => each.toUpperCase()))
  const protocols = protocolMap(settings.protocolMap)
  if (!settings.protocolMapGiven)
    for (const name of controllers) protocols.set(name, protocols.get(name) ?? 'PLAINTEXT')
  const listeners = settings.listeners.map(text => {
    const { name, host, port } = parseEndpoint('listeners', text)
    return { name, protocol: protocolOf(name, protocols), host, port, controller: controllers.has(name) }
  })
  if (listeners.length === 0) fail('listeners: at least one is needed, as PLAINTEXT://localhost:9092')
  checkListeners(listeners, controllers)
  const given = givenOf(settings.advertised ?? [], listeners)
  const ofControllers = listeners.filter(each => each.controller)
  const isOfController = (each: AdvertisedListener) => ofControllers.some(({ name }) => name === each.name)
  const advertised =
    given.length > 0
      ? given.filter(each => !isOfController(each))
      : listeners.filter(each => !each.controller).map(unnamed)
  const advertisedControllers = ofControllers.map(
    listener => given.find(each => each.name === listener.name) ?? unnamed(listener)
  )
  const interBroker = interBrokerListener(settings, advertised)
  return { listeners, advertised, advertisedControllers, interBrokerListener: interBroker }
}

function parseEndpoint(key: string, text: string): { name: string; host: string; port: number } {
  const match = /^([A-Za-z][\w-]*):\/\/(\[[\da-fA-F:.]+(?:%\w+)?\]|[^\s:/[\]]*):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535)
    return fail(`${key}=${text}: must be NAME://host:port, as PLAINTEXT://localhost:9092`)
  return { name: (match[1] as string).toUpperCase(), host: (match[2] as string).replace(/^\[|\]$/g, ''), port }
}

function protocolMap(text: string): Map<string, string> {
  const entries = text.split(',').map(each => each.trim())
  return new Map(
    entries
      .filter(each => each !== '')
      .map(each => {
        const [name, protocol] = each.split(':').map(part => part.trim().toUpperCase())
        if (!name || !protocol || !PROTOCOLS.includes(protocol)) {
          return fail(
            `listener.security.protocol.map=${text}: '${each}' must be NAME:PROTOCOL, with one of ${PROTOCOLS.join(', ')}`
          )
        }
        return [name, protocol] as const
      })
  )
}

function protocolOf(name: string, protocols: ReadonlyMap<string, string>): SecurityProtocol {
  const protocol = protocols.get(name)
  if (protocol === undefined) {
    return fail(`listeners: listener.security.protocol.map does not say which protocol ${name} speaks`)
  }
  if (protocol !== 'PLAINTEXT') return fail(`listeners: ${name} speaks ${protocol}; only PLAINTEXT is built yet`)
  return protocol
}

function checkListeners(listeners: readonly Listener[], controllers: ReadonlySet<string>): void {
  const names = listeners.map(each => each.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) fail(`listeners: the name ${twice} stands twice`)
  for (const [index, one] of listeners.entries()) {
    const other = listeners.slice(0, index).find(each => each.port === one.port && each.port !== 0)
    if (other === undefined || isIpv6(one.host) !== isIpv6(other.host)) continue
    if (one.host === other.host || EVERYWHERE.has(one.host) || EVERYWHERE.has(other.host)) {
      fail(`listeners: ${other.name} and ${one.name} have the same port ${one.port}`)
    }
  }
  const missing = [...controllers].find(name => !names.includes(name))
  if (missing !== undefined) fail(`controller.listener.names: ${missing} is not among listeners`)
  if (listeners.every(each => each.controller)) fail('listeners: none is left for clients, all serve controllers')
}

function isIpv6(host: string): boolean {
  return host.includes(':')
}

/** Known by what it is bound to. */
function unnamed({ name, protocol, host, port }: Listener): AdvertisedListener {
  return { name, protocol, host: EVERYWHERE.has(host) ? null : host, port }
}

/** KafkaConfig.scala: effectiveAdvertisedBrokerListeners and effectiveAdvertisedControllerListeners take their share. */
function givenOf(given: readonly string[], listeners: readonly Listener[]): AdvertisedListener[] {
  return given.map(text => {
    const { name, host, port } = parseEndpoint('advertised.listeners', text)
    const listener = listeners.find(each => each.name === name)
    if (listener === undefined) return fail(`advertised.listeners: ${name} is not among listeners`)
    if (host !== '' && EVERYWHERE.has(host)) {
      return fail(
        `advertised.listeners=${text}: nobody can connect to ${host}; name an address, or leave the host empty`
      )
    }
    return { name, protocol: listener.protocol, host: host === '' ? null : host, port }
  })
}

function interBrokerListener(settings: EndpointSettings, advertised: readonly AdvertisedListener[]): string {
  const { interBrokerName, interBrokerProtocol } = settings
  if (interBrokerName !== null) {
    const name = interBrokerName.toUpperCase()
    if (!advertised.some(each => each.name === name)) fail(`inter.broker.listener.name: ${name} is not advertised`)
    return name
  }
  const found = advertised.find(each => each.protocol === interBrokerProtocol) ?? advertised[0]
  return found?.name ?? fail('advertised.listeners: at least one is needed')
}

function fail(message: string): never {
  throw new MoldauError('ERR_CONFIG', message)
}
