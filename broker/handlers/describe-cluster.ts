// DescribeCluster 0-2: the brokers (KIP-700). 1 asks brokers or controllers (KIP-919): this listener answers for brokers.
// 2 can show fenced brokers too (KIP-1073).
import { ErrorCode } from '../../protocol/errors.ts'
import { describeCluster } from '../../protocol/messages/describe-cluster.ts'
import { liveEndpoints } from '../endpoints.ts'
import { authorizedOperations, OPERATIONS_NOT_ASKED } from '../security/authorized-operations.ts'
import { handler } from './handler.ts'

/** EndpointType.java */
const BROKERS = 1
const CONTROLLERS = 2

export const onDescribeCluster = handler(describeCluster, (request, context, services) => {
  if (request.endpointType !== BROKERS) return wrongEndpoint(request.endpointType, context.apiVersion)
  const { clusterId, controller, metadata } = services
  const live = liveEndpoints(context, services).map(({ nodeId, ...rest }) => ({
    brokerId: nodeId,
    ...rest,
    isFenced: false
  }))
  const fenced = [...metadata.image.brokers.values()].flatMap(({ brokerId, fenced: isFenced, endPoints, rack }) => {
    const endPoint = endPoints.find(each => each.name === context.listenerName)
    return isFenced && endPoint ? { brokerId, host: endPoint.host, port: endPoint.port, rack, isFenced } : []
  })
  const brokers = request.includeFencedBrokers ? [...live, ...fenced] : live
  const { activeControllerId } = controller
  return {
    endpointType: BROKERS,
    clusterId,
    // An id that is not in the list would only confuse.
    controllerId: brokers.some(({ brokerId }) => brokerId === activeControllerId) ? activeControllerId : -1,
    brokers,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? authorizedOperations('CLUSTER')
      : OPERATIONS_NOT_ASKED
  }
})

function wrongEndpoint(endpointType: number, apiVersion: number) {
  const isKnown = endpointType === CONTROLLERS
  const errorCode = isKnown ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
  return {
    errorCode: apiVersion === 0 ? ErrorCode.INVALID_REQUEST : errorCode,
    errorMessage: isKnown
      ? 'This listener serves brokers; the request wants controllers.'
      : `Unsupported endpoint type ${endpointType}`
  }
}
