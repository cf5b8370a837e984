namespace Postwright.Core.Tables.Remote;

/// <summary>How long a server that failed is left alone: a time that doubles with each failure in a row. The caller's lock guards it.</summary>
internal sealed class RemotePause(TimeSpan first, TimeSpan last, TimeProvider time)
{
    private int _failures;
    private string? _reason;
    private long _failedAt;
    private TimeSpan _pause;

    /// <summary>The server must not be asked yet.</summary>
    public bool IsWaiting => _failures > 0 && time.GetElapsedTime(_failedAt) < _pause;

    /// <summary>The rest of the pause; negative when it is over.</summary>
    public TimeSpan Left => _pause - time.GetElapsedTime(_failedAt);

    /// <summary>The server answered.</summary>
    public void Succeed() => _failures = 0;

    /// <summary>The server failed.</summary>
    /// <param name="reason">Why; for those who ask meanwhile.</param>
    /// <param name="isSlow">It gave no answer in time: that may be one heavy question, and a long pause would be out of proportion.</param>
    public void Fail(string reason, bool isSlow)
    {
        TimeSpan begin = isSlow && first > TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : first;
        _pause = TimeSpan.FromSeconds(Math.Min(begin.TotalSeconds * Math.Pow(2, Math.Min(_failures, 20)), last.TotalSeconds));
        _failures++;
        _reason = reason;
        _failedAt = time.GetTimestamp();
    }

    /// <summary>What those who ask meanwhile are told.</summary>
    public RemoteFailure Failure(string server) => new($"{server} is not asked for {_pause.TotalSeconds:0.###} s after: {_reason}");
}
