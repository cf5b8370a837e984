namespace Postwright.Server.Queue.Spool;

/// <summary>Another process writes to the spool.</summary>
public sealed class SpoolInUseException(string directory) : IOException($"the spool {directory} is in use by another process");
