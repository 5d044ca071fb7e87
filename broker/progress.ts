// How far one broker is, for who looks at it from outside: probes, figures, and whoever waits in front of it. Looks at the
// parts and moves none of them.
import type { Registration } from './registration.ts'
import type { Services } from './services.ts'
import { type QuorumFacts, type Stage, waitingFor } from './waiting.ts'

/** Only `ready` is: registered, unfenced as far as it knows, and heard by a controller within its session. */
export type Readiness = 'ready' | 'starting' | 'fenced' | 'no-controller' | 'storage-failed' | 'stopping'

interface Assembled {
  readonly services: Pick<Services, 'nodeId' | 'config' | 'clock' | 'catalog' | 'metadata'> & {
    readonly controller: { readonly metadataLog: { readonly quorumFacts: QuorumFacts } }
  }
  readonly registration: Pick<Registration, 'brokerEpoch' | 'heardMs'>
}

export class Progress<T extends Assembled = Assembled> {
  stage: Stage = 'storage'
  assembled: T | null = null

  get readiness(): Readiness {
    if (this.stage === 'stopping') return 'stopping'
    if (this.stage !== 'entered' || this.assembled === null) return 'starting'
    const { services, registration } = this.assembled
    const { nodeId, config, clock, catalog, metadata } = services
    if (catalog.isOffline) return 'storage-failed'
    const self = metadata.image.brokers.get(nodeId)
    // Of an earlier registration: this one is not committed, or was forgotten.
    if (self === undefined || self.fenced || self.brokerEpoch !== registration.brokerEpoch) return 'fenced'
    const silentMs = clock.monotonicMs() - registration.heardMs
    return silentMs > config.get('broker.session.timeout.ms') ? 'no-controller' : 'ready'
  }

  /** One line; null where it waits for nothing. */
  get waitingFor(): string | null {
    return waitingFor(this.stage, this.assembled?.services.controller.metadataLog.quorumFacts ?? null)
  }
}
