// OAuth. Names, types, defaults and limits are Kafka's.
import { boolean, className, ignoredRows, int, LATER, list, long, password, text } from './setting.ts'

export const oauthSettings = ignoredRows(LATER.security, {
  'sasl.oauthbearer.assertion.algorithm': text('RS256', 'Algorithm that signs assertions.', {
    ignoreCase: true,
    oneOf: ['ES256', 'RS256']
  }),
  'sasl.oauthbearer.assertion.claim.aud': text(null, 'The audience claim.'),
  'sasl.oauthbearer.assertion.claim.exp.seconds': int(300, 'How long an assertion holds.', { min: 0, max: 86400 }),
  'sasl.oauthbearer.assertion.claim.iss': text(null, 'The issuer claim.'),
  'sasl.oauthbearer.assertion.claim.jti.include': boolean(false, 'Give each assertion an id.'),
  'sasl.oauthbearer.assertion.claim.nbf.seconds': int(60, 'How long before its making an assertion holds.', {
    min: 0,
    max: 3600
  }),
  'sasl.oauthbearer.assertion.claim.sub': text(null, 'The subject claim.'),
  'sasl.oauthbearer.assertion.file': text(null, 'File with a ready assertion.'),
  'sasl.oauthbearer.assertion.private.key.file': text(null, 'File with the key that signs assertions.'),
  'sasl.oauthbearer.assertion.private.key.passphrase': password('Passphrase of that key.'),
  'sasl.oauthbearer.assertion.template.file': text(null, 'File with further claims.'),
  'sasl.oauthbearer.client.credentials.client.id': text(null, 'Client id at the identity provider.'),
  'sasl.oauthbearer.client.credentials.client.secret': password('Client secret at the identity provider.'),
  'sasl.oauthbearer.clock.skew.seconds': int(30, 'How far clocks may differ.'),
  'sasl.oauthbearer.expected.audience': list('', 'Audiences that are accepted.'),
  'sasl.oauthbearer.expected.issuer': text(null, 'The issuer that is accepted.'),
  'sasl.oauthbearer.jwks.endpoint.refresh.ms': long(3600000, 'How often keys are fetched again.'),
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms': long(
    10000,
    'The longest wait between two attempts to fetch keys.'
  ),
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.ms': long(100, 'The first wait between two attempts to fetch keys.'),
  'sasl.oauthbearer.jwks.endpoint.url': text(null, 'Where keys are fetched.'),
  'sasl.oauthbearer.jwt.retriever.class': className(
    'org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever',
    'A Java class that fetches tokens.'
  ),
  'sasl.oauthbearer.jwt.validator.class': className(
    'org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator',
    'A Java class that checks tokens.'
  ),
  'sasl.oauthbearer.scope': text(null, 'The scope that is asked for.'),
  'sasl.oauthbearer.scope.claim.name': text('scope', 'The claim that holds the scope.'),
  'sasl.oauthbearer.sub.claim.name': text('sub', 'The claim that holds the subject.'),
  'sasl.oauthbearer.token.endpoint.url': text(null, 'Where tokens are fetched.')
})
