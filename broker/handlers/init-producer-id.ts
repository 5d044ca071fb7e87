// InitProducerId 0-5 for idempotent producers: always a fresh id; such a producer raises its own epoch (KIP-360), and
// what it says of an older id changes nothing. A transactional id gets the answer that FindCoordinator gives it too: the
// one that every client takes for final. Transactions do not work here yet, and transaction.version says so.
import { ErrorCode } from '../../protocol/errors.ts'
import { initProducerId } from '../../protocol/messages/init-producer-id.ts'
import { handler } from './handler.ts'

const NOBODY = -1

export const onInitProducerId = handler(initProducerId, async (request, _context, { producerIds }) => {
  const { transactionalId, producerId, producerEpoch } = request
  const refused = (errorCode: number) => ({ errorCode, producerId: NOBODY, producerEpoch: -1 })
  if (transactionalId === '') return refused(ErrorCode.INVALID_REQUEST)
  if (transactionalId !== null) return refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  // Half an identity is a bug of the client (KafkaApis.handleInitProducerIdRequest).
  if ((producerId === NOBODY) !== (producerEpoch === -1)) return refused(ErrorCode.INVALID_REQUEST)
  const fresh = await producerIds.next()
  return fresh.errorCode === ErrorCode.NONE ? { ...fresh, producerEpoch: 0 } : refused(fresh.errorCode)
})
