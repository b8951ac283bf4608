/** Formats of JSON Schema that are enforced, as regular expressions that match the whole string. */

const DIGITS_0_255 = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = `(?:${DIGITS_0_255}\\.){3}${DIGITS_0_255}`;
const H16 = "[0-9A-Fa-f]{1,4}";
const IPV6 = [
  `(?:${H16}:){7}${H16}`,
  `(?:${H16}:){6}${IPV4}`,
  ...Array.from({ length: 7 }, (_, before) => {
    const head = before === 0 ? "::" : `(?:${H16}:){${before}}:`;
    const most = 7 - before;
    const tail = most === 1 ? `(?:${H16})?` : `(?:(?:${H16}:){0,${most - 1}}${H16})?`;
    return `${head}${tail}`;
  }),
].join("|");

const LEAP = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE = `(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|${LEAP}-02-29)`;
const TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const HOSTNAME = `${LABEL}(?:\\.${LABEL})*`;
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const UNRESERVED = "[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}";
const PATH = `(?:/(?:${UNRESERVED})*)*`;
const AUTHORITY = `(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\\[(?:${IPV6})\\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\\d*)?`;
const TAIL = `(?:\\?(?:${UNRESERVED}|[/?])*)?(?:#(?:${UNRESERVED}|[/?])*)?`;
const SEGMENTS = `(?:${UNRESERVED})+${PATH}`;
const URI = `[A-Za-z][A-Za-z0-9+.-]*:(?://${AUTHORITY}${PATH}|/(?:${SEGMENTS})?|${SEGMENTS})?${TAIL}`;
const UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";
const DURATION_TIME = "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)";
const DURATION_DATE = "(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)";
const DURATION = `P(?:${DURATION_DATE}(?:${DURATION_TIME})?|${DURATION_TIME}|\\d+W)`;

export const FORMATS: Readonly<Record<string, string>> = {
  "date-time": `${DATE}[Tt]${TIME}`,
  date: DATE,
  time: TIME,
  duration: DURATION,
  email: `${ATOM}(?:\\.${ATOM})*@${HOSTNAME}`,
  hostname: HOSTNAME,
  ipv4: IPV4,
  ipv6: IPV6,
  uuid: UUID,
  uri: URI,
};

/** Formats that the standard defines but that are not enforced here. */
export const UNSUPPORTED_FORMATS: readonly string[] = [
  "idn-email",
  "idn-hostname",
  "uri-reference",
  "iri",
  "iri-reference",
  "uri-template",
  "json-pointer",
  "relative-json-pointer",
  "regex",
];
