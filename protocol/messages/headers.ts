// The headers of requests and responses. frame.ts reads request headers by hand, since their version depends on the API.

import { i16, i32, message, text } from '../schema.ts'

/** What stands before each request. 2 is the first flexible version, yet the client id keeps its classic form:
 * a broker of any age must be able to read the header of an ApiVersions request. */
export const requestHeader = message({
  name: 'RequestHeader',
  versions: [1, 2],
  flexibleFrom: 2,
  fields: {
    requestApiKey: i16,
    requestApiVersion: i16,
    correlationId: i32,
    clientId: text.orNull().neverCompact()
  }
})

/** What stands before each response; ApiVersions answers with version 0 always, so that any client can read it. */
export const responseHeader = message({
  name: 'ResponseHeader',
  versions: [0, 1],
  flexibleFrom: 1,
  fields: {
    correlationId: i32
  }
})
