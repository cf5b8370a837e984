namespace Postwright.Server.Master.Control;

/// <summary>Where the records of an answer go: a client of the control socket, or a command that reads the queue directly.</summary>
public interface IControlAnswer
{
    /// <summary>Sends a record of fields.</summary>
    ValueTask WriteAsync(byte type, IEnumerable<string> fields, CancellationToken cancellationToken);

    /// <summary>Sends a record of bytes, at most <see cref="Postwright.Core.Control.ControlProtocol.RecordLimit"/>.</summary>
    ValueTask WriteAsync(byte type, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);
}
