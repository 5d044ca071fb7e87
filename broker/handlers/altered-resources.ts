// What AlterConfigs and IncrementalAlterConfigs have in common: some resources are settled by the broker that is asked,
// the others by the active controller, and each is answered in its place.
import type { Outcome } from './config-changes.ts'
import type { RequestContext } from './handler.ts'

interface Named {
  readonly resourceType: number
  readonly resourceName: string
}

interface Answers {
  readonly responses: (Named & Outcome)[]
}

export interface Alteration<R> {
  readonly resources: readonly R[]
  /** How it ends here; null: it is the controller's to decide. */
  readonly settle: (resource: R) => Outcome | null
  readonly decide: (asked: readonly R[]) => Promise<readonly Outcome[]>
  /** To the active controller, wherever that is; `here` where it is this node. */
  readonly forward: (asked: R[], here: () => Promise<Answers>) => Promise<{ readonly responses: readonly Outcome[] }>
}

/** The controller's part is decided here where this node is asked as the controller, else wherever that is. */
export async function alter<R extends Named>(
  { resources, settle, decide, forward }: Alteration<R>,
  { listener }: Pick<RequestContext, 'listener'>
): Promise<Answers> {
  const here = resources.map(settle)
  const asked = resources.filter((_, index) => here[index] === null)
  if (asked.length === 0) return { responses: inOrder(resources, here, []) }
  const answer = async () => ({ responses: inOrder(asked, [], await decide(asked)) })
  const { responses } = listener === 'controller' ? await answer() : await forward(asked, answer)
  return { responses: inOrder(resources, here, responses) }
}

/** The same outcome for all. */
export function refuseEach({ resources }: { readonly resources: readonly Named[] }, outcome: Outcome) {
  const outcomes = resources.map(() => outcome)
  return { responses: inOrder(resources, [], outcomes) }
}

/** One answer for each resource, in the order of the request. */
function inOrder(resources: readonly Named[], here: readonly (Outcome | null)[], decided: readonly Outcome[]) {
  let next = 0
  return resources.map(({ resourceType, resourceName }, index) => {
    const { errorCode, errorMessage } = here[index] ?? (decided[next++] as Outcome)
    return { errorCode, errorMessage, resourceType, resourceName }
  })
}
