// How this broker asks the active controller, wherever that is: by a call where it is this node, else over a link of
// the controllers' listener. Requests that found no controller, or lost it, are tried again until their time is up.
import type { allocateProducerIds } from '../protocol/messages/allocate-producer-ids.ts'
import type { alterPartition } from '../protocol/messages/alter-partition.ts'
import type { brokerHeartbeat } from '../protocol/messages/broker-heartbeat.ts'
import type { brokerRegistration } from '../protocol/messages/broker-registration.ts'
import type { controllerRegistration } from '../protocol/messages/controller-registration.ts'
import type { RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { RequestContext } from './handlers/handler.ts'

/** Each rejects with ERR_TIMEOUT where no controller answered in time, and with ERR_CLOSED once the broker stops. */
export interface ControllerChannel {
  registerBroker(request: RequestDraft<typeof brokerRegistration>): Promise<ResponseOf<typeof brokerRegistration>>
  heartbeat(request: RequestDraft<typeof brokerHeartbeat>): Promise<ResponseOf<typeof brokerHeartbeat>>
  registerController(
    request: RequestDraft<typeof controllerRegistration>
  ): Promise<ResponseOf<typeof controllerRegistration>>
  /** One at a time, please; brokerEpoch is that of registration.brokerEpoch. */
  alterPartition(request: RequestDraft<typeof alterPartition>): Promise<ResponseOf<typeof alterPartition>>
  allocateProducerIds(
    request: RequestDraft<typeof allocateProducerIds>
  ): Promise<ResponseOf<typeof allocateProducerIds>>
  /** Makes topics that a client asked about, or that the broker itself needs: an error code for each name. NONE: they
   *  can be used here. Never rejects for want of a controller: LEADER_NOT_AVAILABLE. */
  autoCreate(names: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** A client's request as it came (header and body, without the size), in an envelope; the answer's frame, with its size. */
  forward(frame: Buffer, context: RequestContext): Promise<readonly Buffer[]>
  /** Ends the links: what waits is rejected. */
  close(): void
}
