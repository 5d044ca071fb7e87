// IncrementalAlterConfigs 0-1 (KIP-339): each resource succeeds or fails alone, with all its changes.
import type { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import type { RequestDraft, ResponseDraft } from '../../protocol/schema.ts'
import type { Services } from '../services.ts'
import { type Outcome, settledHere } from './config-changes.ts'
import { forwarded, type RequestContext } from './handler.ts'

export const onIncrementalAlterConfigs = forwarded(
  incrementalAlterConfigs,
  async (request, context, services) => {
    const { resources, validateOnly } = request
    const here = resources.map(each => settledHere(each, { validateOnly, isLegacy: false }, context, services))
    const asked = resources.filter((_, index) => here[index] === null)
    const decide = async () => {
      const outcomes = await services.controller.incrementalAlterConfigs(asked, validateOnly)
      return { responses: inOrder(asked, [], outcomes) }
    }
    const part = { resources: asked, validateOnly }
    const decided = asked.length === 0 ? [] : await decidedBy(incrementalAlterConfigs, part, decide, context, services)
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

/** The controller's own part: decided here where this node is asked as the controller, else wherever that is. */
export async function decidedBy<A extends typeof incrementalAlterConfigs | typeof alterConfigs>(
  api: A,
  request: RequestDraft<A>,
  decide: () => Promise<ResponseDraft<A>>,
  context: RequestContext,
  { channel }: Services
): Promise<readonly Outcome[]> {
  const isAsked = context.listener === 'controller'
  const { responses } = isAsked ? await decide() : await channel.forwardRequest(api, request, context, decide)
  return (responses ?? []) as readonly Outcome[]
}

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
