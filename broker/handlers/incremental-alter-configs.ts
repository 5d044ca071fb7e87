// IncrementalAlterConfigs 0-1 (KIP-339): each resource succeeds or fails alone, with all its changes.
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import { alter, refuseEach } from './altered-resources.ts'
import { settledHere } from './config-changes.ts'
import { forwarded } from './handler.ts'

export const onIncrementalAlterConfigs = forwarded(
  incrementalAlterConfigs,
  ({ resources, validateOnly }, context, services) =>
    alter(
      {
        resources,
        settle: each => settledHere(each, { validateOnly, isLegacy: false }, context, services),
        decide: asked => services.controller.incrementalAlterConfigs(asked, validateOnly),
        forward: (asked, here) =>
          services.channel.forwardRequest(incrementalAlterConfigs, { resources: asked, validateOnly }, context, here)
      },
      context
    ),
  refuseEach,
  'parts'
)
