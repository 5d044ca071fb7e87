// DeleteTopics 1-6: by name, since 6 by id too (KIP-516). The files go later; the topic is gone when this is answered.
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { forwarded } from './handler.ts'

type Request = RequestOf<typeof deleteTopics>

export const onDeleteTopics = forwarded(
  deleteTopics,
  async (request, { apiVersion }, { controller }) => ({
    responses: await controller.deleteTopics(namedIn(request, apiVersion))
  }),
  (request, outcome, { apiVersion }) => ({
    responses: namedIn(request, apiVersion).map(each => ({ ...each, ...outcome }))
  })
)

function namedIn({ topics, topicNames }: Request, apiVersion: number): Request['topics'] {
  return apiVersion >= 6 ? topics : topicNames.map(name => ({ name, topicId: ZERO_UUID }))
}
