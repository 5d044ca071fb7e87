// DescribeCluster 0-2: the brokers (KIP-700). 1 asks for brokers or controllers, each answered behind its own kind of
// listener (KIP-919). 2 can show fenced brokers too (KIP-1073).
import { ErrorCode } from '../../protocol/errors.ts'
import { describeCluster } from '../../protocol/messages/describe-cluster.ts'
import type { Listener } from '../../protocol/schema.ts'
import { controllerEndpoints, liveEndpoints } from '../endpoints.ts'
import { authorizedOperations, OPERATIONS_NOT_ASKED } from '../security/authorized-operations.ts'
import type { Services } from '../services.ts'
import { handler, type RequestContext } from './handler.ts'

/** EndpointType.java */
const ENDPOINT_TYPE: Readonly<Record<Listener, number>> = { broker: 1, controller: 2 }

export const onDescribeCluster = handler(describeCluster, (request, context, services) => {
  const endpointType = ENDPOINT_TYPE[context.listener]
  if (request.endpointType !== endpointType) return wrongEndpoint(request.endpointType, context)
  const { clusterId, controller } = services
  const { activeControllerId } = controller
  const nodes = context.listener === 'controller' ? controllersFor(context, services) : brokersFor(context, services)
  const brokers = request.includeFencedBrokers ? nodes : nodes.filter(each => !each.isFenced)
  return {
    endpointType,
    clusterId,
    // An id that is not in the list would only confuse.
    controllerId: brokers.some(({ brokerId }) => brokerId === activeControllerId) ? activeControllerId : -1,
    brokers,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? authorizedOperations('CLUSTER')
      : OPERATIONS_NOT_ASKED
  }
})

function brokersFor(context: RequestContext, services: Services) {
  const live = liveEndpoints(context, services).map(({ nodeId, ...rest }) => ({
    brokerId: nodeId,
    ...rest,
    isFenced: false
  }))
  const { brokers } = services.metadata.image
  const fenced = [...brokers.values()].flatMap(({ brokerId, fenced: isFenced, endPoints, rack }) => {
    const endPoint = endPoints.find(each => each.name === context.listenerName)
    return isFenced && endPoint ? { brokerId, host: endPoint.host, port: endPoint.port, rack, isFenced } : []
  })
  return [...live, ...fenced]
}

function controllersFor(context: RequestContext, services: Services) {
  return controllerEndpoints(context, services).map(({ nodeId, ...rest }) => ({
    brokerId: nodeId,
    ...rest,
    isFenced: false
  }))
}

function wrongEndpoint(endpointType: number, { apiVersion, listener }: RequestContext) {
  const isKnown = Object.values(ENDPOINT_TYPE).includes(endpointType)
  const errorCode = isKnown ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
  return {
    errorCode: apiVersion === 0 ? ErrorCode.INVALID_REQUEST : errorCode,
    errorMessage: isKnown
      ? `This is the listener of a ${listener}; the request wants the other kind.`
      : `Unsupported endpoint type ${endpointType}`
  }
}
