// DescribeGroups 0-6.
import { ErrorCode } from '../../protocol/errors.ts'
import { describeGroups } from '../../protocol/messages/describe-groups.ts'
import { authorizedOperations, OPERATIONS_NOT_ASKED } from '../security/authorized-operations.ts'
import { handler } from './handler.ts'

export const onDescribeGroups = handler(describeGroups, (request, { apiVersion }, { groups }) => ({
  groups: groups.describeGroups(request.groups, apiVersion).map(group => ({
    ...group,
    authorizedOperations:
      request.includeAuthorizedOperations && group.errorCode === ErrorCode.NONE
        ? authorizedOperations('GROUP')
        : OPERATIONS_NOT_ASKED
  }))
}))
