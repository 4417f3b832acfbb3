// Why the admin cannot answer a question.

/** Thrown for a question that makes no sense; code is an HTTP status. */
export class QuestionFault extends Error {
  constructor(
    readonly code: 400 | 404,
    message: string,
  ) {
    super(message);
  }
}
