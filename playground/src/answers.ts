/** The parts of a GraphQL answer that this page reads. */
export interface Answer<Data = Record<string, unknown>> {
  data?: Data | null;
  errors?: AnswerError[];
}

export interface AnswerError {
  message: string;
  extensions?: { code?: string };
}

/** Business failures are data: every mutation's payload carries these. */
export interface UserError {
  message: string;
  code: string;
  field: string[] | null;
}

/** A failure in words for a person, with the names of the form's fields that it is about. */
export class Refusal extends Error {
  readonly codes: string[];
  readonly fields: string[];

  constructor(message: string, codes: string[] = [], fields: string[] = []) {
    super(message);
    this.name = "Refusal";
    this.codes = codes;
    this.fields = fields;
  }
}

const CREDENTIAL_CODES = ["UNAUTHENTICATED", "TOKEN_EXPIRED"];

/** Whether the server turned the credential itself down. FORBIDDEN is about permissions: new tokens would not help. */
export function isCredentialRefused(answer: Answer<unknown>): boolean {
  return answer.errors?.some(({ extensions }) => CREDENTIAL_CODES.includes(extensions?.code ?? "")) ?? false;
}

/** The answer's data; top-level errors without data become a refusal. */
export function dataOf<Data>(answer: Answer<Data>): Data {
  if (answer.data) return answer.data;
  throw refusalOf(answer.errors ?? []);
}

/** A mutation's payload (its field has the alias `result`); top-level errors and `userErrors` become a refusal. */
export function payloadOf<Payload extends { userErrors: UserError[] }>(answer: Answer<{ result: Payload | null }>): Payload {
  const payload = answer.data?.result;
  if (!payload) throw refusalOf(answer.errors ?? []);
  if (payload.userErrors.length === 0) return payload;
  throw new Refusal(
    sentences(payload.userErrors),
    payload.userErrors.map(({ code }) => code),
    payload.userErrors.flatMap(({ field }) => field?.at(-1) ?? []),
  );
}

function refusalOf(errors: AnswerError[]): Refusal {
  if (errors.length === 0) return new Refusal("The server gave an empty answer. Try again.");
  return new Refusal(
    sentences(errors),
    errors.map(({ extensions }) => extensions?.code ?? ""),
  );
}

function sentences(failures: { message: string }[]): string {
  return [...new Set(failures.map(({ message }) => message))].join(" ");
}

export function textOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
