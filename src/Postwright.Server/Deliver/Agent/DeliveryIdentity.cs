using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Agent;

/// <summary>The thread could not get back its own identity, or took on one that nobody asked for: the worker must end.</summary>
public sealed class IdentityLostException() : Exception("the identity of a delivery thread is not what was asked for");

/// <summary>
/// A stretch of code under a recipient's identity: <c>using (DeliveryIdentity.Assume(uid, gid, out bool assumed))</c>. Inside, only
/// synchronous calls. Nesting is not possible: the inner one's end is root again.
/// </summary>
public readonly struct DeliveryIdentity : IDisposable
{
    private readonly bool _assumed;

    private DeliveryIdentity(bool assumed) => _assumed = assumed;

    /// <summary>Takes on an identity.</summary>
    /// <param name="uid">The user.</param>
    /// <param name="gid">The user's primary group, the only group.</param>
    /// <param name="assumed">False, without root, for any identity but our own: the delivery is deferred.</param>
    /// <exception cref="IdentityLostException">As root, and the identity read back is another one.</exception>
    public static DeliveryIdentity Assume(uint uid, uint gid, out bool assumed)
    {
        assumed = Identity.Assume(uid, gid);
        if (!assumed && Identity.CanChange)
        {
            throw new IdentityLostException();
        }

        return new DeliveryIdentity(assumed);
    }

    /// <summary>Back to the process's own identity.</summary>
    /// <exception cref="IdentityLostException">The way back failed.</exception>
    public void Dispose()
    {
        if (_assumed && !Identity.Restore())
        {
            throw new IdentityLostException();
        }
    }
}
