// UpdateFeatures 0-2: other finalised levels for the cluster (KIP-584). 1 adds dry runs and kinds of downgrade, 2 gives
// one outcome for all.
import { updateFeatures } from '../../protocol/messages/update-features.ts'
import { decideUpdateFeatures } from '../../replication/controller/update-features.ts'
import { forwarded } from './handler.ts'

export const onUpdateFeatures = forwarded(
  updateFeatures,
  (request, _context, { controller }) => {
    const { voters } = controller.metadataLog
    return controller.decideAndShow((image, rules) => decideUpdateFeatures(image, request, { voters }, rules))
  },
  null
)
