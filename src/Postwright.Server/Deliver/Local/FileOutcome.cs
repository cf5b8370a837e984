using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Local;

/// <summary>How a delivery to a file ended.</summary>
/// <param name="Dsn">Its status code; a 4 at the front defers, a 5 bounces.</param>
/// <param name="Reason">Why; empty for success.</param>
internal readonly record struct FileOutcome(string Dsn, string Reason)
{
    public static FileOutcome Success => new("2.0.0", "");

    public bool IsSuccess => Dsn[0] == '2';

    /// <summary>
    /// A failed system call, with the code that its errno gives. Postfix bounces whatever it does not know; here what may pass by
    /// itself (a failing disk, descriptors or memory used up, a file system mounted read-only) is deferred.
    /// </summary>
    public static FileOutcome Failed(int result, string otherwise, string reason) => new(
        -result switch
        {
            Errno.NoSpace => "4.3.0",
            Errno.QuotaExceeded or Errno.FileTooLarge => "5.2.2",
            Errno.TryAgain or Errno.Stale => "4.2.0",
            Errno.InputOutput or Errno.NoMemory or Errno.TooManyFiles or Errno.TooManyDescriptors or Errno.ReadOnlyFileSystem
                or Errno.TimedOut => "4.3.0",
            _ => otherwise,
        },
        reason);

    /// <summary>The same with words in front.</summary>
    public FileOutcome Prepend(string words) => this with { Reason = words + Reason };

    /// <summary>As a recipient's result.</summary>
    public RecipientResult ToResult(int index, string success, string relay) => new(
        index,
        Dsn[0] switch { '2' => DeliveryStatus.Sent, '4' => DeliveryStatus.Deferred, _ => DeliveryStatus.Bounced },
        Dsn,
        IsSuccess ? success : Reason,
        relay);
}
