// IncrementalAlterConfigs 0-1 (KIP-339): each resource succeeds or fails alone, with all its changes.
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import { type Outcome, settledHere } from './config-changes.ts'
import { handler } from './handler.ts'

export const onIncrementalAlterConfigs = handler(incrementalAlterConfigs, async (request, _context, services) => {
  const { resources, validateOnly } = request
  const here = resources.map(each => settledHere(each, validateOnly, false, services))
  const asked = resources.filter((_, index) => here[index] === null)
  const decided = asked.length === 0 ? [] : await services.controller.incrementalAlterConfigs(asked, validateOnly)
  return { responses: inOrder(resources, here, decided) }
})

/** One answer for each resource, in the order of the request. */
export function inOrder<R extends { readonly resourceType: number; readonly resourceName: string }>(
  resources: readonly R[],
  here: readonly (Outcome | null)[],
  decided: readonly Outcome[]
) {
  let next = 0
  return resources.map(({ resourceType, resourceName }, index) => {
    const { errorCode, errorMessage } = here[index] ?? (decided[next++] as Outcome)
    return { errorCode, errorMessage, resourceType, resourceName }
  })
}
