// TLS. Names, types, defaults and limits are Kafka's.
import { boolean, className, ignoredRows, LATER, list, password, text, word } from './setting.ts'

export const tlsSettings = ignoredRows(LATER.security, {
  'ssl.allow.dn.changes': boolean(false, 'A new certificate may have another distinguished name.'),
  'ssl.allow.san.changes': boolean(false, 'A new certificate may have other alternative names.'),
  'ssl.cipher.suites': list('', 'The cipher suites that may be used.', { update: 'per-broker' }),
  'ssl.client.auth': word('none', ['required', 'requested', 'none'], 'Whether clients must show a certificate.', {
    update: 'per-broker'
  }),
  'ssl.enabled.protocols': list('TLSv1.2,TLSv1.3', 'The TLS versions that may be used.', { update: 'per-broker' }),
  'ssl.endpoint.identification.algorithm': text('https', 'How host names are checked against certificates.', {
    update: 'per-broker'
  }),
  'ssl.engine.factory.class': className(null, 'A Java class that makes TLS engines.', { update: 'per-broker' }),
  'ssl.key.password': password('Password of the private key.', { update: 'per-broker' }),
  'ssl.keymanager.algorithm': text('SunX509', "Algorithm of Java's key manager.", { update: 'per-broker' }),
  'ssl.keystore.certificate.chain': password('Certificate chain in PEM.', { update: 'per-broker' }),
  'ssl.keystore.key': password('Private key in PEM.', { update: 'per-broker' }),
  'ssl.keystore.location': text(null, 'File with key and certificates.', { update: 'per-broker' }),
  'ssl.keystore.password': password('Password of that file.', { update: 'per-broker' }),
  'ssl.keystore.type': text('JKS', 'Format of that file.', { update: 'per-broker' }),
  'ssl.principal.mapping.rules': text('DEFAULT', "How a certificate's name becomes a user name."),
  'ssl.protocol': text('TLSv1.3', 'The TLS version to prefer.', { update: 'per-broker' }),
  'ssl.provider': text(null, "Java's security provider.", { update: 'per-broker' }),
  'ssl.secure.random.implementation': text(null, "Java's random generator.", { update: 'per-broker' }),
  'ssl.trustmanager.algorithm': text('PKIX', "Algorithm of Java's trust manager.", { update: 'per-broker' }),
  'ssl.truststore.certificates': password('Trusted certificates in PEM.', { update: 'per-broker' }),
  'ssl.truststore.location': text(null, 'File with trusted certificates.', { update: 'per-broker' }),
  'ssl.truststore.password': password('Password of that file.', { update: 'per-broker' }),
  'ssl.truststore.type': text('JKS', 'Format of that file.', { update: 'per-broker' }),
  'security.providers': text(null, 'Java classes that add security providers.')
})
