namespace Postwright.Core.Seams;

/// <summary>Waits that stay with their caller's scheduler, where the runtime's own would go on in the thread pool.</summary>
internal static class Waiting
{
    /// <summary>Waits for a task that others may wait for too, or until the token is cancelled, which the task does not hear of.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled first.</exception>
    public static async Task<T> OrCancelledAsync<T>(this Task<T> task, CancellationToken cancellationToken)
    {
#pragma warning disable RS0030 // The pool comes in where the task awaited completes its waiters asynchronously; the one in between does not.
        return await UnsharedAsync(task).WaitAsync(cancellationToken);
#pragma warning restore RS0030
    }

    private static async Task<T> UnsharedAsync<T>(Task<T> task) => await task;
}
