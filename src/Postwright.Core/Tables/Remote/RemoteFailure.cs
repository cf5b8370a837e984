namespace Postwright.Core.Tables.Remote;

/// <summary>
/// A server that cannot be reached, speaks another protocol, or says that it failed. Thrown by the protocol readers and caught
/// at one door, <see cref="RemotePool{TConnection}"/>, which turns it into a temporary error: no caller of a table sees it.
/// </summary>
/// <param name="message">For the log; without the table's name.</param>
/// <param name="usable">True when the connection is still in step: the server said no, and can be asked again.</param>
/// <param name="hostIsWell">True when only this question failed, so that others need not wait.</param>
internal sealed class RemoteFailure(string message, bool usable = false, bool hostIsWell = false) : Exception(message)
{
    /// <summary>The host need not be left alone.</summary>
    public bool HostIsWell => usable || hostIsWell;

    /// <summary>The connection is still in step.</summary>
    public bool ConnectionIsUsable => usable;
}
