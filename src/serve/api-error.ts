/** An error in the form of OpenAI's API. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  /** Seconds after which a client may retry. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.status = status;
    this.type = details.type ?? TYPES[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
    this.param = details.param ?? null;
    this.code = details.code ?? null;
    this.retryAfter = details.retryAfter;
  }

  get body() {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

export interface ApiErrorDetails {
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
  readonly retryAfter?: number;
}

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/** The error for an invalid value in a request. */
export function invalid(param: string, message: string, code = "invalid_value"): ApiError {
  return new ApiError(400, param === "" ? message : `${param}: ${message}`, { param, code });
}
