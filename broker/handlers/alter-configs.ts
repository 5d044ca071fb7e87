// AlterConfigs 0-2: replaces all settings of a resource; what is not named goes back to its default.
import { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { ConfigOperation } from '../../replication/controller/configs.ts'
import { settledHere } from './config-changes.ts'
import { handler } from './handler.ts'
import { inOrder } from './incremental-alter-configs.ts'

export const onAlterConfigs = handler(alterConfigs, async (request, _context, services) => {
  const { resources, validateOnly } = request
  const here = resources.map(resource => {
    const configs = resource.configs.map(each => ({ ...each, configOperation: ConfigOperation.SET }))
    return settledHere({ ...resource, configs }, validateOnly, true, services)
  })
  const asked = resources.filter((_, index) => here[index] === null)
  const decided = asked.length === 0 ? [] : await services.controller.alterConfigs(asked, validateOnly)
  return { responses: inOrder(resources, here, decided) }
})
