// AlterConfigs 0-2: replaces all settings of a resource; what is not named goes back to its default.
import { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { ConfigOperation } from '../../replication/controller/configs.ts'
import { alter, refuseEach } from './altered-resources.ts'
import { settledHere } from './config-changes.ts'
import { forwarded } from './handler.ts'

export const onAlterConfigs = forwarded(
  alterConfigs,
  ({ resources, validateOnly }, context, services) =>
    alter(
      {
        resources,
        settle: resource => {
          const configs = resource.configs.map(each => ({ ...each, configOperation: ConfigOperation.SET }))
          return settledHere({ ...resource, configs }, { validateOnly, isLegacy: true }, context, services)
        },
        decide: asked => services.controller.alterConfigs(asked, validateOnly),
        forward: (asked, here) =>
          services.channel.forwardRequest(alterConfigs, { resources: asked, validateOnly }, context, here)
      },
      context
    ),
  refuseEach,
  'parts'
)
