// AlterConfigs 0-2: replaces all settings of a resource; what is not named goes back to its default.
import { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { ConfigOperation } from '../../replication/controller/configs.ts'
import { settledHere } from './config-changes.ts'
import { forwarded } from './handler.ts'
import { decidedBy, inOrder } from './incremental-alter-configs.ts'

export const onAlterConfigs = forwarded(
  alterConfigs,
  async (request, context, services) => {
    const { resources, validateOnly } = request
    const here = resources.map(resource => {
      const configs = resource.configs.map(each => ({ ...each, configOperation: ConfigOperation.SET }))
      return settledHere({ ...resource, configs }, { validateOnly, isLegacy: true }, context, services)
    })
    const asked = resources.filter((_, index) => here[index] === null)
    const decide = async () => {
      const outcomes = await services.controller.alterConfigs(asked, validateOnly)
      return { responses: inOrder(asked, [], outcomes) }
    }
    const part = { resources: asked, validateOnly }
    const decided = asked.length === 0 ? [] : await decidedBy(alterConfigs, part, decide, context, services)
    return { responses: inOrder(resources, here, decided) }
  },
  ({ resources }, outcome) => ({
    responses: inOrder(
      resources,
      [],
      resources.map(() => outcome)
    )
  }),
  'parts'
)
